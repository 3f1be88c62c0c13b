#include "producer/builder/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/small_file.h"
#include "schemas/stored/document.h"
#include "schemas/stored/schedule.h"

#define EX_CONFIG 78
#define WORDS_MAX 64
#define RULES_MAX 1000
#define FILE_SIZE_MAX ((size_t)1024 * 1024)
#define MEMORY_MIN ((int64_t)8 * 1024 * 1024)
#define BLANKS " \t"

/* What a job is held against: each text that is there, `*` for any bytes. */
struct job_rule {
	struct text dataset, spec, project;
	struct job_command command; /* no argv: that of builder.command */
};

struct job_rules {
	struct arena *arena;
	struct job_command fallback;
	struct job_rule *at;
	size_t n;
};

/* Choosing ---------------------------------------------------------------- */

/* Back to the last `*` alone: no pattern costs more than both sizes' product.
 */
static bool
fits_pattern(struct text pattern, struct text text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, taken = 0;

	while (t < text.size) {
		if (p < pattern.size && pattern.at[p] == '*') {
			star = p++;
			taken = t;
		} else if (p < pattern.size && pattern.at[p] == text.at[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++taken;
		} else {
			return false;
		}
	}
	while (p < pattern.size && pattern.at[p] == '*')
		p++;
	return p == pattern.size;
}

static bool
fits_any(struct text pattern, const struct text *texts, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (texts[i].at != NULL && fits_pattern(pattern, texts[i]))
			return true;
	return pattern.at == NULL;
}

const struct job_command *
job_rules_choose(const struct job_rules *rules, const struct job_spec *spec,
    const struct text *projects)
{
	size_t i;

	for (i = 0; i < rules->n; i++) {
		const struct job_rule *rule = &rules->at[i];

		if (fits_any(rule->spec, &spec->rid, 1) &&
		    fits_any(rule->dataset, spec->outputs, spec->n_outputs) &&
		    fits_any(rule->project, projects, spec->n_outputs))
			return &rule->command;
	}
	return &rules->fallback;
}

/* Reading ----------------------------------------------------------------- */

/* Whether it can be run; if not, why. */
static bool
can_run(char *const *argv, struct error *err)
{
	struct stat file;

	if (argv[0] == NULL || argv[0][0] != '/')
		error_fatal(err, EX_CONFIG,
		    "it is the path of a program, from the root on, and its "
		    "arguments, not \"%s\"",
		    argv[0] != NULL ? argv[0] : "");
	else if (access(argv[0], X_OK) != 0 || stat(argv[0], &file) != 0)
		error_fatal(err, EX_CONFIG, "%s: %s, for user %u", argv[0],
		    strerror(errno), (unsigned)geteuid());
	else if (!S_ISREG(file.st_mode))
		error_fatal(err, EX_CONFIG,
		    "%s: is no program, but a folder "
		    "or the like",
		    argv[0]);
	else
		return true;
	return false;
}

static char *
copy_word(struct arena *arena, struct text word)
{
	char *at = arena_alloc(arena, word.size + 1);

	memcpy(at, word.at, word.size);
	at[word.size] = '\0';
	return at;
}

/* Words between blanks, and nothing else: no shell reads them. */
static int
cut_command(struct job_rules *rules, const char *command, struct error *err)
{
	struct text rest = text_from(command), word;
	char **argv = arena_zalloc(rules->arena, WORDS_MAX + 1, sizeof *argv);
	size_t n = 0;

	while (text_take_word(&rest, BLANKS, &word)) {
		if (n == WORDS_MAX)
			return error_fatal(err, EX_CONFIG,
			    "builder.command: more than %d words", WORDS_MAX);
		argv[n++] = copy_word(rules->arena, word);
	}
	rules->fallback.argv = argv;
	if (can_run(argv, err))
		return 0;
	error_prefix(err, "builder.command");
	return -1;
}

static void
read_command(struct reader *reader, const struct place *place,
    const struct json *node, struct job_command *command)
{
	struct place at = place_member(place, TEXT("command"));
	struct text_list words = { 0 };
	struct error err = { 0 };
	char **argv;
	size_t i;

	if (json_get(node, "command") == NULL)
		return;
	read_text_list(reader, place, node, "command", &words);
	argv = arena_zalloc(reader->arena, words.n + 1, sizeof *argv);
	for (i = 0; i < words.n; i++)
		argv[i] = copy_word(reader->arena, words.at[i]);
	command->argv = argv;
	if (!can_run(argv, &err))
		reader_fault(reader, &at, "%s", err.message);
}

/* A duration or a size, as in the configuration. */
struct amount {
	const char *name;
	bool (*parse)(const char *text, int64_t *value);
	int64_t least;
	const char *wanted;
};

static int64_t
read_amount(struct reader *reader, const struct place *place,
    const struct json *node, const struct amount *amount)
{
	struct place at = place_member(place, text_from(amount->name));
	struct text text = read_text(reader, place, node, amount->name);
	int64_t value = 0;

	if (json_get(node, amount->name) != NULL && text.at != NULL &&
	    (!amount->parse(copy_word(reader->arena, text), &value) ||
		value < amount->least))
		reader_fault(reader, &at, "\"%.*s\" is not %s", TEXT_ARG(text),
		    amount->wanted);
	return value;
}

static void
read_limits(struct reader *reader, const struct place *place,
    const struct json *node, struct job_limits *limits)
{
	static const char *const known[] = { "time", "memory", "files", NULL };
	static const struct amount
	    time = { "time", config_parse_duration, 1,
		    "a time, such as \"90s\" or \"2h\"" },
	    memory = { "memory", config_parse_size, MEMORY_MIN,
		    "a size that a program can begin in, such as \"512M\" or "
		    "\"4G\"" };
	struct place at = place_member(place, TEXT("limits"));
	struct place files = place_member(&at, TEXT("files"));
	const struct json *given = json_get(node, "limits");

	if (given == NULL || !read_object(reader, &at, given, known))
		return;
	limits->time_ms = read_amount(reader, &at, given, &time);
	limits->memory = read_amount(reader, &at, given, &memory);
	limits->files = read_int(reader, &at, given, "files", 0);
	if (json_get(given, "files") != NULL && limits->files < 4)
		reader_fault(
		    reader, &files, "4 at least: a job begins with that many");
}

static void
read_rule(struct reader *reader, const struct place *place,
    const struct json *node, struct job_rule *rule)
{
	static const char *const known[] = { "dataset", "spec", "project",
		"command", "limits", NULL };

	if (!read_object(reader, place, node, known))
		return;
	rule->dataset = read_text(reader, place, node, "dataset");
	rule->spec = read_text(reader, place, node, "spec");
	rule->project = read_text(reader, place, node, "project");
	read_command(reader, place, node, &rule->command);
	read_limits(reader, place, node, &rule->command.limits);
	if (json_get(node, "command") == NULL &&
	    json_get(node, "limits") == NULL)
		reader_fault(
		    reader, place, "neither \"command\" nor \"limits\"");
}

static bool
is_of_all(const struct job_rule *rule)
{
	return rule->dataset.at == NULL && rule->spec.at == NULL &&
	    rule->project.at == NULL;
}

static bool
are_of_all(const struct job_rules *rules)
{
	return rules->n > 0 && is_of_all(&rules->at[rules->n - 1]);
}

static void
read_rules(
    struct job_rules *rules, struct reader *reader, const struct json *list)
{
	const struct place root = { 0 };
	size_t n, i;

	if (!read_is(reader, &root, list, JSON_TYPE_ARRAY))
		return;
	n = json_size(list);
	if (n > RULES_MAX)
		reader_fault(reader, &root, "more than %d rules", RULES_MAX);
	rules->at = arena_zalloc(rules->arena, n + 1, sizeof *rules->at);
	for (i = 0; i < n && i < RULES_MAX; i++) {
		struct place place = place_index(&root, i);
		struct job_rule *rule = &rules->at[rules->n++];

		read_rule(reader, &place, json_at(list, i), rule);
		if (rule->command.argv == NULL)
			rule->command.argv = rules->fallback.argv;
		if (rule->command.argv == NULL)
			reader_fault(reader, &place,
			    "has no \"command\", and builder.command is not "
			    "set");
		/* It would be a mistake that shows late, if ever. */
		if (i > 0 && is_of_all(rule - 1))
			reader_fault(reader, &place,
			    "the rule before it is of all jobs, so none comes "
			    "here");
	}
}

static int
read_file(struct job_rules *rules, const char *path, struct error *err)
{
	struct buffer bytes = { 0 };
	struct reader *reader = reader_create(rules->arena);
	struct json_document *document = NULL;
	bool ignored;
	int rc = small_file_read(path, FILE_SIZE_MAX, &bytes, &ignored, err);

	if (rc == 0) {
		document = json_parse(text_skip_mark(buffer_text(&bytes)),
		    DOCUMENT_DEPTH_MAX, err);
		rc = document != NULL ? 0 : -1;
		if (rc != 0)
			error_prefix(err, "%s", path);
	}
	if (rc == 0) {
		read_rules(rules, reader, json_root(document));
		rc = reader_result(reader, err);
		if (rc != 0)
			error_prefix(err, "%s", path);
	}
	json_destroy(document);
	buffer_finish(&bytes);
	if (rc == 0)
		return 0;
	error_prefix(err, "builder.rules");
	err->kind = ERROR_FATAL;
	err->exit_code = EX_CONFIG;
	return -1;
}

struct job_rules *
job_rules_create(const struct config *config, struct error *err)
{
	struct job_rules *rules = memory_zalloc(1, sizeof *rules);
	const char *path = config_text(config, "builder.rules");
	const char *command = config_text(config, "builder.command");

	rules->arena = arena_create(0);
	if ((command == NULL || cut_command(rules, command, err) == 0) &&
	    (path == NULL || read_file(rules, path, err) == 0)) {
		if (command != NULL || are_of_all(rules))
			return rules;
		error_fatal(err, EX_CONFIG,
		    "builder.command: is not set, and no rule is of all jobs; "
		    "it is the path of a program, from the root on, and its "
		    "arguments");
	}
	job_rules_destroy(rules);
	return NULL;
}

void
job_rules_destroy(struct job_rules *rules)
{
	if (rules == NULL)
		return;
	arena_destroy(rules->arena);
	free(rules);
}
