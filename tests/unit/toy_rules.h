#ifndef SCHEDRUN_TESTS_UNIT_TOY_RULES_H
#define SCHEDRUN_TESTS_UNIT_TOY_RULES_H

#include "tests/unit/toy_judge.h"

/* What the two halves of the judge share: up to P10, and P11. */
void names_add(struct names *names, struct text name);
bool judge_has_branch(const struct toy *toy, int dataset, int branch);
bool judge_on_branch(const struct toy *toy, struct toy_input input);
bool judge_may_build(const struct toy *toy, int spec);
/* Whether an input of the spec puts it on a path, given what is on one. */
bool judge_connects(const struct toy *toy, int spec, const bool *selected);
/* P11; the verdict's selection is made. */
void judge_staleness(const struct toy *toy, struct verdict *verdict);

#endif
