#include "producer/base/profile.h"

#include <string.h>

#include "tests/unit/check.h"

#define PY "python-foundry-platform-sdk/"

/* Header, configuration, agents; -1: refused. */
static const struct {
	const char *name, *header, *configured, *agent, *fetch;
	int profile;
} rows[] = {
	{ "curl", NULL, "auto", "curl/7.88.1", NULL, PROFILE_DOC },
	{ "nothing", NULL, "auto", NULL, NULL, PROFILE_DOC },
	{ "1.0.0", NULL, "auto", PY "1.0.0 python/3.11", NULL, PROFILE_DOC },
	{ "1.8.0", NULL, "auto", PY "1.8.0 python/3.11", NULL, PROFILE_DOC },
	{ "1.9.0", NULL, "auto", PY "1.9.0 python/3.11", NULL, PROFILE_GA },
	{ "1.60.0", NULL, "auto", PY "1.60.0 python/3.11", NULL, PROFILE_GA },
	{ "1.85.3", NULL, "auto", PY "1.85.3 python/3.11", NULL, PROFILE_GA },
	{ "1.86.0", NULL, "auto", PY "1.86.0 python/3.11", NULL,
	    PROFILE_GA_UPPER },
	{ "1.111.0", NULL, "auto", PY "1.111.0 python/3.11", NULL,
	    PROFILE_GA_UPPER },
	{ "2.0.0", NULL, "auto", PY "2.0.0", NULL, PROFILE_GA_UPPER },
	{ "0.100.0", NULL, "auto", PY "0.100.0", NULL, PROFILE_DOC },
	{ "second product", NULL, "auto", "x/1 " PY "1.60.0", NULL,
	    PROFILE_GA },
	{ "no version", NULL, "auto", PY, NULL, PROFILE_DOC },
	{ "no minor", NULL, "auto", PY "1", NULL, PROFILE_DOC },
	{ "a long number", NULL, "auto", PY "1.99999999999999999999", NULL,
	    PROFILE_GA_UPPER },
	{ "npm", NULL, "auto", "node", "osdk-client/2.3.0 @osdk/x/2.78.0",
	    PROFILE_GA_UPPER },
	{ "header", "ga", "auto", PY "1.111.0", NULL, PROFILE_GA },
	{ "header before configuration", "doc", "ga", NULL, NULL, PROFILE_DOC },
	{ "configuration before agent", NULL, "ga-upper", PY "1.8.0", NULL,
	    PROFILE_GA_UPPER },
	{ "unknown header", "new", "auto", NULL, NULL, -1 },
	{ "empty header", "", "auto", NULL, NULL, -1 },
	{ "capitals", "GA", "auto", NULL, NULL, -1 },
};

static void
chooses(void)
{
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct http_field fields[3];
		struct http_head head = { .fields = fields };
		enum http_profile profile = PROFILE_DOC;
		bool ok;

		if (rows[i].header != NULL)
			fields[head.n_fields++] =
			    (struct http_field){ TEXT("Schedrun-Contract"),
				    text_from(rows[i].header) };
		if (rows[i].agent != NULL)
			fields[head.n_fields++] =
			    (struct http_field){ TEXT("User-Agent"),
				    text_from(rows[i].agent) };
		if (rows[i].fetch != NULL)
			fields[head.n_fields++] =
			    (struct http_field){ TEXT("Fetch-User-Agent"),
				    text_from(rows[i].fetch) };
		ok = http_profile_choose(&head, rows[i].configured, &profile);
		CHECK_ROW(
		    rows[i].name, (ok ? (int)profile : -1) == rows[i].profile);
	}
}

static void
names_errors(void)
{
	static const char *const names[] = {
		[PROFILE_DOC] = "\"TargetResolutionFailure\"",
		[PROFILE_GA] = "\"TargetResolutionFailure\"",
		[PROFILE_GA_UPPER] = "\"TARGETRESOLUTIONFAILURE\"",
	};
	const struct schedule_run run = {
		.request_id = TEXT("r"),
		.schedule_rid = TEXT("s"),
		.state = RUN_FAILED,
		.error = TARGET_RESOLUTION_FAILURE,
		.description = TEXT("d"),
	};
	struct buffer out = { 0 };
	size_t i;

	for (i = 0; i < sizeof names / sizeof names[0]; i++) {
		buffer_reset(&out);
		http_profile_put_run((enum http_profile)i, &run, &out);
		buffer_byte(&out, '\0');
		CHECK_ROW(names[i], strstr(out.at, names[i]) != NULL);
		CHECK_ROW(names[i],
		    (strstr(out.at, ",\"error\":{") != NULL) ==
			(i == PROFILE_DOC));
	}
	buffer_finish(&out);
}

static void
knows_who_takes_no_content(void)
{
	static const struct {
		const char *agent;
		bool takes;
	} agents[] = {
		{ "curl/7.88.1", true },
		{ PY "1.8.0 python/3.11", false },
		{ PY "1.9.0 python/3.11", true },
		{ PY "1.111.0 python/3.11", true },
		{ PY, true },
	};
	size_t i;

	for (i = 0; i < sizeof agents / sizeof agents[0]; i++) {
		struct http_field field = { TEXT("User-Agent"),
			text_from(agents[i].agent) };
		struct http_head head = { .fields = &field, .n_fields = 1 };

		CHECK_ROW(agents[i].agent,
		    http_profile_takes_no_content(&head) == agents[i].takes);
	}
}

CU_TestInfo http_profile_tests[] = {
	{ "knows who takes no content", knows_who_takes_no_content },
	{ "chooses", chooses },
	{ "names errors", names_errors },
	CU_TEST_INFO_NULL,
};
