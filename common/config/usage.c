#include "common/config/usage.h"

#include <ctype.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/nearest.h"

#define FLAGS_MAX 64

/* All flags of an argp and its children, as getopt wants them. */
struct flags {
	struct option longs[FLAGS_MAX];
	size_t n;
	char shorts[3 * FLAGS_MAX + 3];
	size_t n_shorts;
};

static void say(const char *name, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void
say(const char *name, const char *format, va_list args)
{
	const char *space = strchr(name, ' ');

	if (space != NULL)
		fprintf(
		    stderr, "%.*s: %s: ", (int)(space - name), name, space + 1);
	else
		fprintf(stderr, "%s: ", name);
	vfprintf(stderr, format, args);
	fprintf(stderr, "; try: %s --help\n", name);
}

static _Noreturn void __attribute__((format(printf, 2, 3)))
refuse(const char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(name, format, args);
	va_end(args);
	exit(argp_err_exit_status);
}

void
usage_error(const struct argp_state *state, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(state->name, format, args);
	va_end(args);
	exit(argp_err_exit_status);
}

static void
add(struct flags *flags, const char *name, int key, bool takes)
{
	if (flags->n + 1 < FLAGS_MAX && name != NULL)
		flags->longs[flags->n++] = (struct option){ name,
			takes ? required_argument : no_argument, NULL, key };
	if (key > ' ' && key < 127 &&
	    flags->n_shorts + 3 < sizeof flags->shorts) {
		flags->shorts[flags->n_shorts++] = (char)key;
		if (takes)
			flags->shorts[flags->n_shorts++] = ':';
	}
}

/* NOLINTBEGIN(misc-no-recursion): as deep as our own tables */
static void
collect(struct flags *flags, const struct argp *argp)
{
	const struct argp_option *option = argp->options;
	const struct argp_child *child = argp->children;

	for (; option != NULL && (option->name != NULL || option->key != 0);
	     option++)
		add(flags, option->name, option->key, option->arg != NULL);
	for (; child != NULL && child->argp != NULL; child++)
		collect(flags, child->argp);
}
/* NOLINTEND(misc-no-recursion) */

/* "--wait=30s" is about "wait". */
static void
long_name(const char *word, char out[128])
{
	snprintf(out, 128, "%.*s", (int)strcspn(word + 2, "="), word + 2);
}

static _Noreturn void
refuse_word(const struct flags *flags, const char *name, const char *word,
    int short_flag)
{
	char wrong[128];
	const char *near;

	if (strncmp(word, "--", 2) != 0)
		refuse(name, "unknown flag \"-%c\"",
		    isprint(short_flag) ? short_flag : '?');
	long_name(word, wrong);
	near =
	    nearest_name(wrong, flags->longs, flags->n, sizeof flags->longs[0]);
	if (near != NULL && strcmp(near, wrong) == 0)
		refuse(name, "--%s takes no value", wrong);
	if (near != NULL)
		refuse(name, "unknown flag \"--%s\", did you mean \"--%s\"?",
		    wrong, near);
	refuse(name, "unknown flag \"--%s\"", wrong);
}

static void
check(const struct flags *flags, const char *name, int argc, char **argv)
{
	int flag, index;

	opterr = 0;
	optind = 0; /* glibc: begin anew */
	for (;;) {
		const char *word;

		flag = getopt_long(
		    argc, argv, flags->shorts, flags->longs, &index);
		if (flag == -1)
			return;
		word = argv[optind - 1];

		if (flag == ':')
			refuse(name, "%s needs a value", word);
		/* -? is argp's own, and not in our list: it is getopt's
		 * answer to what it does not know. */
		if (flag == '?' && optopt != '?')
			refuse_word(flags, name, word, optopt);
	}
}

void
usage_check(const struct argp *argp, const char *name, int argc,
    char *const *argv, bool in_order)
{
	struct flags *flags = memory_zalloc(1, sizeof *flags);
	char **words = memory_zalloc((size_t)argc + 1, sizeof *words);
	int i;

	for (i = 0; i < argc; i++)
		words[i] = argv[i];
	if (in_order)
		flags->shorts[flags->n_shorts++] = '+';
	flags->shorts[flags->n_shorts++] = ':';
	/* argp's own, unless the table has one of the name. */
	collect(flags, argp);
	add(flags, "help", 0, false);
	add(flags, "usage", 0, false);
	add(flags, "version", 'V', false);
	check(flags, name, argc, words);
	free(words);
	free(flags);
}
