#include "producer/api/routes.h"

#include "producer/http/app.h"
#include "tests/unit/check.h"

#define LITTLE 1024
#define MUCH (1024 * 1024)
#define API "/api/v2/orchestration"
#define S "/schedules/ri.scheduler.main.schedule.s"

static size_t
limit_of(const char *base, const char *method, const char *target, bool chunked)
{
	struct http_app app = { .base_path = text_from(base) };
	struct http_head head = {
		.method = text_from(method),
		.target = text_from(target),
		.body_size = chunked ? 0 : LITTLE + 1,
		.chunked = chunked,
	};

	return http_routes_body_limit(&app, &head);
}

/* A route that takes no body is sent little: its row says so, not its name. */
static void
no_body_is_little(void)
{
	static const struct {
		const char *method, *target;
		size_t limit;
	} rows[] = {
		{ "POST", API S "/run", LITTLE },
		{ "POST", API S "/run?preview=true", LITTLE },
		{ "POST", API S "/r%75n", LITTLE },
		{ "POST", API S "/pause", LITTLE },
		{ "POST", API S "/unpause", LITTLE },
		{ "POST", API S "/getAffectedResources", LITTLE },
		{ "POST", API "/schedules", MUCH },
		{ "POST", API "/schedules/getBatch", MUCH },
		{ "POST", API "/builds/getBatch", MUCH },
		{ "PUT", API S, MUCH },
		/* No such route, or not with this method. */
		{ "GET", API S "/run", MUCH },
		{ "POST", "/x/run", MUCH },
		{ "POST", API "/builds/create", MUCH },
		{ "POST", "*", MUCH },
		{ "POST", "/%", MUCH },
	};
	size_t i;

	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		CHECK_ROW(rows[i].target,
		    limit_of("", rows[i].method, rows[i].target, false) ==
			rows[i].limit);
		CHECK_ROW(rows[i].target,
		    limit_of("", rows[i].method, rows[i].target, true) ==
			rows[i].limit);
	}
}

static void
the_base_path_goes_before(void)
{
	CHECK(limit_of("/x", "POST", "/x" API S "/run", true) == LITTLE);
	CHECK(limit_of("/x", "POST", API S "/run", true) == MUCH);
}

CU_TestInfo routes_tests[] = {
	{ "no body is little", no_body_is_little },
	{ "the base path goes before", the_base_path_goes_before },
	CU_TEST_INFO_NULL,
};
