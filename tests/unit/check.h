#ifndef SCHEDRUN_TESTS_UNIT_CHECK_H
#define SCHEDRUN_TESTS_UNIT_CHECK_H

#include <CUnit/CUnit.h>

/* Checks that name what was checked: file and line, and the table's row. */
#define CHECK(what)                                                            \
	CU_assertImplementation((what), __LINE__, #what, __FILE__, "", CU_FALSE)
#define CHECK_ROW(row, what)                                                   \
	CU_assertImplementation((what), __LINE__, (row), __FILE__, "", CU_FALSE)
#define REQUIRE(what)                                                          \
	CU_assertImplementation((what), __LINE__, #what, __FILE__, "", CU_TRUE)

#endif
