/* What others say in our formats: of a job, an issuer of tokens, a token file.
 */
#define _GNU_SOURCE /* memfd_create */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/kafka/token.h"
#include "producer/auth/token_file.h"
#include "producer/builder/said.h"
#include "tests/fuzz/fuzz.h"

static void
read_job(struct text text)
{
	struct buffer one = { 0 }, other = { 0 };
	struct job_said said = { 0 }, again = { 0 };

	job_said_read(text, &said);
	assert(said.state < JOB_STATES && job_state_name(said.state) != NULL);
	job_said_write(&said, &one);
	job_said_read(buffer_text(&one), &again);
	job_said_write(&again, &other);
	/* A host's name is neither empty, nor has it a NUL. */
	assert(said.host.size == 0 || text_has_control(said.host) ||
	    text_equal(buffer_text(&one), buffer_text(&other)));
	buffer_finish(&one);
	buffer_finish(&other);
}

static void
read_token(struct text text)
{
	struct arena *arena = arena_create(0);
	struct kafka_token token = { 0 };
	struct error err = { 0 };

	if (kafka_token_read(200, text, arena, &token, &err) == 0) {
		assert(token.value[0] != '\0' && token.lifetime_ms > 0);
		assert(!text_has_control(text_from(token.value)));
	} else {
		assert(err.message[0] != '\0');
	}
	assert(kafka_token_read(401, text, arena, &token, &err) != 0);
	assert(!text_has_control(text_from(err.message)));
	arena_destroy(arena);
}

static void
read_file(struct text text)
{
	int file = memfd_create("tokens", MFD_CLOEXEC);
	struct http_caller caller = { 0 };
	struct error err = { 0 };
	struct token_file *tokens;
	char path[64];

	assert(file >= 0);
	assert(write(file, text.at, text.size) == (ssize_t)text.size);
	snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	tokens = token_file_create(path, false, &err);
	if (tokens != NULL)
		assert(!token_file_find(tokens, &caller));
	else
		assert(err.message[0] != '\0');
	token_file_destroy(tokens);
	close(file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct text text = { (const char *)bytes, size };
	struct text kind = fuzz_take(&text, 1);

	log_set_level(LOG_ERROR); /* the file's mode is warned of */
	if (kind.size == 1 && kind.at[0] == 'j')
		read_job(text);
	if (kind.size == 1 && kind.at[0] == 't')
		read_token(text);
	if (kind.size == 1 && kind.at[0] == 'f')
		read_file(text);
	return 0;
}
