#include "producer/builder/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/check.h"
#include "tests/unit/settings.h"

/* By this command (NULL: none is set) and a file of this text; NULL with `err`
 * if they are refused. */
static struct job_rules *
read_rules_beside(const char *command, const char *text, struct error *err)
{
	char path[] = "/tmp/schedrun-rules-XXXXXX", settings[200];
	int fd = mkstemp(path);
	struct config *config;
	struct job_rules *rules;

	CU_ASSERT_FATAL(
	    fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	snprintf(settings, sizeof settings, "%s%s\nbuilder.rules = %s\n",
	    command != NULL ? "builder.command = " : "",
	    command != NULL ? command : "", path);
	config = settings_load(settings, err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(config);
	rules = job_rules_create(config, err);
	config_destroy(config);
	unlink(path);
	return rules;
}

static struct job_rules *
read_rules(const char *text, struct error *err)
{
	return read_rules_beside("/bin/sh -c true", text, err);
}

#define RULES                                                                  \
	"[{\"spec\":\"ri.f.m.jobspec.report-*\",\"dataset\":\"*.dataset.b\","  \
	"\"command\":[\"/bin/ls\",\"a b\"]},"                                  \
	"{\"spec\":\"ri.f.m.jobspec.report-*\",\"command\":[\"/bin/cat\"]},"   \
	"{\"project\":\"ri.c.m.folder.sales\",\"limits\":{\"time\":\"1.5s\","  \
	"\"memory\":\"4G\",\"files\":64}},"                                    \
	"{\"dataset\":\"ri.f.m.dataset.x*y*z\",\"command\":[\"/bin/echo\"]}]"

/* The first rule counts whose every condition holds, of any output. */
static void
chooses_the_first(void)
{
	static const struct {
		const char *spec, *outputs[2], *projects[2];
		const char *command, *argument;
	} rows[] = {
		{ "ri.f.m.jobspec.report-1", { "ri.f.m.dataset.b", NULL },
		    { NULL, NULL }, "/bin/ls", "a b" },
		{ "ri.f.m.jobspec.report-1",
		    { "ri.f.m.dataset.a", "ri.f.m.dataset.b" }, { NULL, NULL },
		    "/bin/ls", "a b" },
		{ "ri.f.m.jobspec.report-1", { "ri.f.m.dataset.bb", NULL },
		    { "ri.c.m.folder.sales", NULL }, "/bin/cat", NULL },
		{ "ri.f.m.jobspec.reporter", { "ri.f.m.dataset.b", NULL },
		    { NULL, NULL }, "/bin/sh", "-c" },
		{ "ri.f.m.jobspec.o",
		    { "ri.f.m.dataset.a", "ri.f.m.dataset.xyz" },
		    { NULL, "ri.c.m.folder.sales" }, "/bin/sh", "-c" },
		{ "ri.f.m.jobspec.o", { "ri.f.m.dataset.x-y-y-z", NULL },
		    { "ri.c.m.folder.salesx", NULL }, "/bin/echo", NULL },
		{ "ri.f.m.jobspec.o", { "ri.f.m.dataset.xyz", NULL },
		    { NULL, NULL }, "/bin/echo", NULL },
		{ "ri.f.m.jobspec.o", { "ri.f.m.dataset.xyzw", NULL },
		    { NULL, NULL }, "/bin/sh", "-c" },
	};
	struct error err = { 0 };
	struct job_rules *rules = read_rules(RULES, &err);
	size_t i, k;

	CU_ASSERT_PTR_NOT_NULL_FATAL(rules);
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct text outputs[2], projects[2];
		struct job_spec spec = { .outputs = outputs,
			.rid = text_from(rows[i].spec) };
		const struct job_command *found;

		for (k = 0; k < 2 && rows[i].outputs[k] != NULL; k++) {
			outputs[k] = text_from(rows[i].outputs[k]);
			projects[k] = rows[i].projects[k] == NULL
			    ? TEXT_NONE
			    : text_from(rows[i].projects[k]);
		}
		spec.n_outputs = k;
		found = job_rules_choose(rules, &spec, projects);
		CHECK_ROW(rows[i].outputs[0],
		    strcmp(found->argv[0], rows[i].command) == 0 &&
			(rows[i].argument == NULL
				? found->argv[1] == NULL
				: strcmp(found->argv[1], rows[i].argument) ==
				    0));
		CHECK_ROW(rows[i].outputs[0],
		    found->limits.files == (i == 4 ? 64 : 0) &&
			found->limits.time_ms == (i == 4 ? 1500 : 0) &&
			found->limits.memory ==
			    (i == 4 ? INT64_C(4) << 30 : 0));
	}
	job_rules_destroy(rules);
}

/* Patterns that would cost others the age of the universe. */
static void
bears_hostile_patterns(void)
{
	struct buffer text = { 0 };
	struct error err = { 0 };
	char rid[201];
	struct text output = { rid, sizeof rid - 1 };
	struct job_spec spec = { .outputs = &output, .n_outputs = 1 };
	struct job_rules *rules;
	int i;

	memset(rid, 'a', sizeof rid);
	buffer_append(&text, TEXT("[{\"dataset\":\""));
	for (i = 0; i < 99; i++)
		buffer_append(&text, TEXT("*a"));
	buffer_append(&text, TEXT("*b\",\"command\":[\"/bin/ls\"]}]"));
	buffer_byte(&text, '\0');
	rules = read_rules(text.at, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(rules);
	for (i = 0; i < 1000; i++)
		CU_ASSERT_STRING_EQUAL(
		    job_rules_choose(rules, &spec, &output)->argv[0],
		    "/bin/sh");
	job_rules_destroy(rules);
	buffer_finish(&text);
}

static void
refuses(void)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "{}", "must be of type array, not object" },
		{ "[{}]", "$[0]: neither" },
		{ "[{\"datasets\":\"x\",\"command\":[\"/bin/ls\"]}]",
		    "$[0].datasets" },
		{ "[{\"command\":\"/bin/ls\"}]", "$[0].command" },
		{ "[{\"command\":[]}]", "$[0].command: it is the path" },
		{ "[{\"command\":[\"ls\"]}]", "$[0].command: it is the path" },
		{ "[{\"command\":[\"/no/such\"]}]",
		    "$[0].command: /no/such: No such file" },
		{ "[{\"command\":[\"/tmp\"]}]",
		    "$[0].command: /tmp: is no program" },
		{ "[{\"limits\":{\"memory\":\"1k\"}}]",
		    "$[0].limits.memory: \"1k\" is not a size that" },
		{ "[{\"dataset\":\"\",\"command\":[\"/bin/ls\"]}]",
		    "$[0].dataset" },
		{ "[{\"limits\":{\"time\":\"0s\"}}]",
		    "$[0].limits.time: \"0s\" is not a time" },
		{ "[{\"limits\":{\"time\":3}}]", "$[0].limits.time" },
		{ "[{\"limits\":{\"memory\":\"-4G\"}}]", "$[0].limits.memory" },
		{ "[{\"limits\":{\"files\":3}}]", "$[0].limits.files: 4 at" },
		{ "[{\"limits\":{\"cpu\":3}}]", "$[0].limits.cpu" },
		{ "[{\"limits\":{}},{\"spec\":\"x\",\"limits\":{}}]",
		    "$[1]: the rule before it is of all jobs" },
		{ "[", "line 1" },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct error err = { 0 };

		CHECK_ROW(rows[i].text, read_rules(rows[i].text, &err) == NULL);
		CHECK_ROW(rows[i].says,
		    strstr(err.message, rows[i].says) != NULL &&
			strstr(err.message, "builder.rules: ") != NULL &&
			err.kind == ERROR_FATAL && err.exit_code == 78);
	}
}

/* What is of all jobs stands for builder.command; else each job needs one. */
static void
needs_a_command_for_each(void)
{
	struct error err = { 0 };
	struct job_rules *rules = read_rules_beside(NULL,
	    "[{\"spec\":\"x\",\"command\":[\"/bin/ls\"]},"
	    "{\"command\":[\"/bin/cat\"]}]",
	    &err);
	struct text output = TEXT("ri.f.m.dataset.b");
	struct job_spec spec = { .outputs = &output, .n_outputs = 1 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(rules);
	CU_ASSERT_STRING_EQUAL(
	    job_rules_choose(rules, &spec, &output)->argv[0], "/bin/cat");
	job_rules_destroy(rules);
	CU_ASSERT_PTR_NULL(read_rules_beside(
	    NULL, "[{\"spec\":\"x\",\"command\":[\"/bin/ls\"]}]", &err));
	CHECK_ROW(err.message,
	    strstr(err.message, "builder.command: is not set") != NULL);
	CU_ASSERT_PTR_NULL(
	    read_rules_beside(NULL, "[{\"limits\":{\"time\":\"2h\"}}]", &err));
	CHECK_ROW(err.message,
	    strstr(err.message, "$[0]: has no \"command\"") != NULL);
}

CU_TestInfo job_rules_tests[] = {
	{ "needs_a_command_for_each", needs_a_command_for_each },
	{ "chooses_the_first", chooses_the_first },
	{ "bears_hostile_patterns", bears_hostile_patterns },
	{ "refuses", refuses },
	CU_TEST_INFO_NULL,
};
