#include <stdio.h>
#include <string.h>

#include <CUnit/Basic.h>

/*
 * Runs every suite of suites.h, or those named as arguments.  The exit code is
 * by the number of failures: CU_basic_run_tests does not tell.
 */
#define SUITE(module) extern CU_TestInfo module##_tests[];
#include "tests/unit/suites.h"
#undef SUITE

static const struct suite {
	const char *name;
	CU_TestInfo *tests;
} suites[] = {
#define SUITE(module) { #module, module##_tests },
#include "tests/unit/suites.h"
#undef SUITE
	{ NULL, NULL },
};

static int
is_wanted(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return 1;
	return argc == 1;
}

int
main(int argc, char **argv)
{
	const struct suite *s;
	unsigned tests, failed;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 70;
	for (s = suites; s->name != NULL; s++) {
		CU_SuiteInfo info[] = {
			{ s->name, NULL, NULL, NULL, NULL, s->tests },
			CU_SUITE_INFO_NULL,
		};

		if (!is_wanted(s->name, argc, argv))
			continue;
		if (CU_register_suites(info) != CUE_SUCCESS) {
			fprintf(stderr, "unit: %s\n", CU_get_error_msg());
			return 70;
		}
	}
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	tests = CU_get_number_of_tests_run();
	failed = CU_get_number_of_tests_failed();
	CU_cleanup_registry();
	printf("unit: %u passed, %u failed\n", tests - failed, failed);
	return failed == 0 && tests > 0 ? 0 : 1;
}
