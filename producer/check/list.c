#include "producer/check/list.h"

static void
add_finding(struct check_list *list, const char *what, const char *state,
    const char *detail, const char *mend)
{
	table_string(list->table, what);
	table_string(list->table, state);
	table_string(list->table, detail);
	table_string(list->table, mend);
}

void
check_fine(struct check_list *list, const char *what, const char *detail)
{
	add_finding(list, what, "ok", detail, NULL);
}

void
check_note(struct check_list *list, const char *what, const char *detail,
    const char *mend)
{
	add_finding(list, what, "note", detail, mend);
}

void
check_fault(struct check_list *list, const char *what, const char *detail,
    const char *mend)
{
	add_finding(list, what, "fault", detail, mend);
	if (list->code == EXIT_DONE)
		list->code = EXIT_NO;
}

/* Who can't be reached weighs more than who refuses, and that than a fault. */
void
check_failed(struct check_list *list, const char *what, const struct error *err,
    const char *mend)
{
	check_fault(list, what, err->message, mend);
	if (err->kind == ERROR_RETRY)
		list->code = EXIT_UNREACHABLE;
	else if (err->exit_code == 77 && list->code != EXIT_UNREACHABLE)
		list->code = EXIT_NOT_ALLOWED;
}

void
check_untold(struct check_list *list, const char *what, const struct error *err,
    const char *acl)
{
	if (err->exit_code == 77)
		check_note(list, what, "this user may not see it", acl);
	else
		check_failed(list, what, err,
		    "look whether its brokers are up, or give a longer "
		    "--timeout");
}
