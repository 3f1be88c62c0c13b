#include "common/config/options.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/nearest.h"
#include "common/base/output.h"

#define TIMEOUT_DEFAULT_MS 10000
#define FLAGS_MAX 64
#define EX_USAGE 64
#define EX_IOERR 74
#define EX_CONFIG 78

enum long_option {
	OPTION_REDIS = 256,
	OPTION_LOG_FORMAT,
	OPTION_TIMEOUT,
	OPTION_PRINT_CONFIG,
	OPTION_CHECK,
	OPTION_USAGE,
};

static const struct argp_option table[] = {
	{ "config", 'c', "FILE", 0, "Read this configuration file", 0 },
	{ "set", 's', "KEY=VALUE", 0, "Set a configuration key", 0 },
	{ "property", 'X', "PROP=VALUE", 0, "Set a property of librdkafka", 0 },
	{ "brokers", 'b', "BROKERS", 0, "Short for -X bootstrap.servers=", 0 },
	{ "redis", OPTION_REDIS, "URL", 0, "Short for -s redis.url=", 0 },
	{ "quiet", 'q', NULL, 0, "Log errors only", 0 },
	{ "verbose", 'v', NULL, 0, "Log everything", 0 },
	{ "log-format", OPTION_LOG_FORMAT, "FORMAT", 0, "auto, logfmt or json",
	    0 },
	{ "timeout", OPTION_TIMEOUT, "DURATION", 0,
	    "How long to wait for Kafka, Redis, the registry", 0 },
	{ "print-config", OPTION_PRINT_CONFIG, NULL, 0,
	    "Print every key, its value and where it comes from", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static const struct argp_option daemon_table[] = {
	{ "check", OPTION_CHECK, NULL, 0,
	    "Validate the configuration, connect once, exit", 0 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

/* Wrong usage ------------------------------------------------------------ */

void
usage_error(const struct argp_state *state, const char *format, ...)
{
	const char *space = strchr(state->name, ' ');
	va_list args;

	if (space != NULL)
		fprintf(stderr, "%.*s: %s: ", (int)(space - state->name),
		    state->name, space + 1);
	else
		fprintf(stderr, "%s: ", state->name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "; try: %s --help\n", state->name);
	exit(argp_err_exit_status);
}

/* NOLINTNEXTLINE(readability-function-size): a flag and its bounds */
int64_t
usage_number(const struct argp_state *state, const char *flag, const char *text,
    int64_t least, int64_t most)
{
	int64_t value;

	if (!text_to_number(text_from(text), most, &value) || value < least)
		usage_error(state, "%s %s: is not a number of %lld to %lld",
		    flag, text, (long long)least, (long long)most);
	return value;
}

/* All rows of an argp and its children that have a name. */
struct rows {
	const struct argp_option *at[FLAGS_MAX];
	const char *names[FLAGS_MAX];
	size_t n;
};

/* NOLINTBEGIN(misc-no-recursion): as deep as our own tables */
static void
collect(struct rows *rows, const struct argp *argp)
{
	const struct argp_option *option = argp->options;
	const struct argp_child *child = argp->children;

	for (; option != NULL && option->name != NULL; option++) {
		if (rows->n == FLAGS_MAX)
			return;
		rows->names[rows->n] = option->name;
		rows->at[rows->n++] = option;
	}
	for (; child != NULL && child->argp != NULL; child++)
		collect(rows, child->argp);
}
/* NOLINTEND(misc-no-recursion) */

static const struct argp_option *
find_letter(const struct rows *rows, char letter)
{
	size_t i;

	for (i = 0; i < rows->n; i++)
		if (rows->at[i]->key == letter)
			return rows->at[i];
	return NULL;
}

/* The row of the name or of its only beginning, as getopt has it. */
static const struct argp_option *
find_long(const struct rows *rows, const char *name)
{
	const struct argp_option *found = NULL;
	size_t size = strlen(name), i, n = 0;

	for (i = 0; i < rows->n; i++) {
		if (strncmp(rows->names[i], name, size) != 0)
			continue;
		if (rows->names[i][size] == '\0')
			return rows->at[i];
		found = rows->at[i];
		n++;
	}
	return n == 1 ? found : NULL;
}

/* Ends the process if a long flag, with or without "=value", is what is wrong.
 */
static void
judge_long(const struct argp_state *state, const struct rows *rows,
    const char *word, bool is_last)
{
	size_t size = strcspn(word + 2, "=");
	const struct argp_option *row;
	const char *near;
	char name[128];

	snprintf(name, sizeof name, "%.*s", (int)size, word + 2);
	row = find_long(rows, name);
	if (row != NULL && row->arg == NULL && word[2 + size] == '=')
		usage_error(state, "--%s takes no value", row->name);
	if (row != NULL && row->arg != NULL && word[2 + size] != '=' && is_last)
		usage_error(state, "%s needs a value", word);
	if (row != NULL)
		return;
	near = nearest_name(name, rows->names, rows->n, sizeof rows->names[0]);
	if (near != NULL)
		usage_error(state,
		    "unknown flag \"--%s\", did you mean \"--%s\"?", name,
		    near);
	usage_error(state, "unknown flag \"--%s\"", name);
}

/* The same of a cluster, "-qv" or "-bBROKERS". */
static void
judge_letters(const struct argp_state *state, const struct rows *rows,
    const char *word, bool is_last)
{
	const char *at;

	for (at = word + 1; *at != '\0'; at++) {
		const struct argp_option *row = find_letter(rows, *at);

		if (row == NULL)
			usage_error(state, "unknown flag \"-%c\"",
			    isprint((unsigned char)*at) ? *at : '?');
		if (row->arg != NULL && at[1] == '\0' && is_last)
			usage_error(state, "%s needs a value", word);
		if (row->arg != NULL)
			return;
	}
}

static void
judge_word(const struct argp_state *state, const struct rows *rows, int i)
{
	const char *word = i < state->argc ? state->argv[i] : "";

	if (strncmp(word, "--", 2) == 0)
		judge_long(state, rows, word, i + 1 == state->argc);
	else if (word[0] == '-')
		judge_letters(state, rows, word, i + 1 == state->argc);
}

static _Noreturn void
tell(const struct argp_state *state, unsigned what)
{
	if (what == 0)
		printf("%s\n", argp_program_version);
	else
		argp_help(state->root_argp, stdout, what, state->name);
	exit(0); /* or another code, where this could not be written */
}

/* Group -1, as argp has its own: they stand behind all others. */
static const struct argp_option help_table[] = {
	{ "help", '?', NULL, 0, "Give this help list", -1 },
	{ "usage", OPTION_USAGE, NULL, 0, "Give a short usage message", -1 },
	{ "version", 'V', NULL, 0, "Print program version", -1 },
	{ NULL, 0, NULL, 0, NULL, 0 },
};

static error_t
take_help(int key, char *argument, struct argp_state *state)
{
	struct rows rows = { .n = 0 };

	(void)argument;
	switch (key) {
	case '?':
		tell(state, ARGP_HELP_STD_HELP & ~ARGP_HELP_EXIT_OK);
	case OPTION_USAGE:
		tell(state, ARGP_HELP_USAGE);
	case 'V':
		tell(state, 0);
	case ARGP_KEY_ERROR:
		/*
		 * getopt has refused a word.  It stands behind that word, but
		 * before one whose letters it is still in, and tells neither
		 * which it was nor why.
		 */
		collect(&rows, state->root_argp);
		judge_word(state, &rows, state->next - 1);
		judge_word(state, &rows, state->next);
		usage_error(state, "wrong usage");
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

void
options_parse(
    const struct argp *argp, int argc, char **argv, unsigned flags, void *input)
{
	static const struct argp help = { help_table, take_help, NULL, NULL,
		NULL, NULL, NULL };
	const struct argp_child children[] = {
		{ argp, 0, NULL, 0 },
		{ &help, 0, NULL, 0 },
		{ NULL, 0, NULL, 0 },
	};
	/* Without a parser: argp hands the input to its first child. */
	const struct argp whole = { NULL, NULL, NULL, NULL, children, NULL,
		NULL };

	argp_parse(&whole, argc, argv, flags | ARGP_NO_ERRS | ARGP_NO_HELP,
	    NULL, input);
}

/* The flags --------------------------------------------------------------- */

/* Keeps "text", or "name=text" of a short form. */
static void
add_flag(struct options *options, int kind, const char *name, const char *text)
{
	struct buffer joined = { 0 };
	size_t n = options->n_flags;

	buffer_format(
	    &joined, "%s%s%s", name, name[0] != '\0' ? "=" : "", text);
	buffer_byte(&joined, '\0');
	options->flags =
	    memory_resize(options->flags, n + 1, sizeof *options->flags);
	options->texts = memory_resize(options->texts, n + 1, sizeof(char *));
	options->texts[n] = joined.at;
	options->flags[n].kind = (enum config_flag_kind)kind;
	options->flags[n].text = joined.at;
	options->n_flags++;
}

static error_t
take_option(int key, char *argument, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'c':
		options->file = argument;
		return 0;
	case 's':
		add_flag(options, CONFIG_FLAG_KEY, "", argument);
		return 0;
	case 'X':
		add_flag(options, CONFIG_FLAG_KAFKA, "", argument);
		return 0;
	case 'b':
		add_flag(
		    options, CONFIG_FLAG_KAFKA, "bootstrap.servers", argument);
		return 0;
	case OPTION_REDIS:
		add_flag(options, CONFIG_FLAG_KEY, "redis.url", argument);
		return 0;
	case OPTION_LOG_FORMAT:
		add_flag(options, CONFIG_FLAG_KEY, "log.format", argument);
		return 0;
	case 'q':
		options->quiet = true;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case OPTION_TIMEOUT:
		if (!config_parse_duration(argument, &options->timeout_ms) ||
		    options->timeout_ms < 1)
			usage_error(state,
			    "--timeout %s: not a duration such as 500ms or 10s",
			    argument);
		return 0;
	case OPTION_PRINT_CONFIG:
		options->print_config = true;
		return 0;
	case OPTION_CHECK:
		options->check = true;
		return 0;
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp options_argp = { table, take_option, NULL, NULL, NULL, NULL,
	NULL };
const struct argp options_daemon_argp = { daemon_table, take_option, NULL, NULL,
	NULL, NULL, NULL };

void
options_init(struct options *options)
{
	*options = (struct options){ .timeout_ms = TIMEOUT_DEFAULT_MS };
}

void
options_finish(struct options *options)
{
	size_t i;

	for (i = 0; i < options->n_flags; i++)
		free(options->texts[i]);
	free(options->texts);
	free(options->flags);
	options->texts = NULL;
	options->flags = NULL;
	options->n_flags = 0;
}

static enum log_format
log_format_of(const struct config *config)
{
	const char *format = config_text(config, "log.format");
	const char *journal = getenv("JOURNAL_STREAM");

	if (strcmp(format, "auto") != 0)
		return strcmp(format, "json") == 0 ? LOG_JSON : LOG_LOGFMT;
	return isatty(STDERR_FILENO) || journal != NULL ? LOG_LOGFMT : LOG_JSON;
}

/* -q and -v stand above the key. */
static enum log_level
log_level_of(const struct options *options, const struct config *config)
{
	enum log_level level = LOG_INFO;

	log_level_parse(config_text(config, "log.level"), &level);
	if (options->quiet)
		level = LOG_ERROR;
	if (options->verbose)
		level = LOG_DEBUG;
	return level;
}

struct config *
options_load(const struct options *options, struct error *err)
{
	struct config *config =
	    config_load(options->file, options->flags, options->n_flags, err);
	struct buffer out = { 0 };

	if (config == NULL)
		return NULL;
	log_configure(log_level_of(options, config), log_format_of(config),
	    (unsigned)config_number(config, "log.rate"));
	if (options->print_config) {
		config_print(config, &out);
		output_write(buffer_text(&out));
		buffer_finish(&out);
	}
	return config;
}

/* "http.rate, redis.url" of all but what was taken. */
static void
list_name(void *list, const char *name)
{
	struct buffer *names = list;

	if (strcmp(name, "log.level") == 0)
		return;
	buffer_format(names, "%s%s", names->size > 0 ? ", " : "", name);
}

void
options_reload(const struct options *options, const struct config *running)
{
	struct buffer names = { 0 };
	struct error err = { 0 };
	struct config *config =
	    config_load(options->file, options->flags, options->n_flags, &err);

	if (config == NULL) {
		log_event(
		    LOG_ERROR, "config", "not_reread", err.message, LOG_END);
		return;
	}
	log_set_level(log_level_of(options, config));
	log_event(LOG_INFO, "config", "reread",
	    "the configuration was read again",
	    LOG_S("log_level",
		options->verbose     ? "debug"
		    : options->quiet ? "error"
				     : config_text(config, "log.level")),
	    LOG_END);
	config_differences(running, config, list_name, &names);
	if (names.size > 0)
		log_event(LOG_WARN, "config", "restart_needed",
		    "what has changed besides log.level holds after a restart",
		    LOG_T("keys", buffer_text(&names)), LOG_END);
	buffer_finish(&names);
	config_destroy(config);
}

static const char *
program_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* A daemon takes flags only; its children work on its input. */
static error_t
refuse_arguments(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = state->input;
		state->child_inputs[1] = state->input;
		return 0;
	case ARGP_KEY_ARG:
		usage_error(state, "too many arguments: %s", argument);
	default: /* argp's own keys */
		return ARGP_ERR_UNKNOWN;
	}
}

struct config *
options_daemon(
    int argc, char **argv, const char *documentation, struct options *options)
{
	const struct argp_child children[] = {
		{ &options_argp, 0, NULL, 0 },
		{ &options_daemon_argp, 0, NULL, 0 },
		{ NULL, 0, NULL, 0 },
	};
	const struct argp argp = { NULL, refuse_arguments, NULL, documentation,
		children, NULL, NULL };
	struct config *config;
	struct error err = { 0 };

	output_guard(program_name(argv[0]), EX_IOERR);
	options_init(options);
	argp_err_exit_status = EX_USAGE;
	options_parse(&argp, argc, argv, 0, options);
	config = options_load(options, &err);
	if (config == NULL) {
		fprintf(stderr, "%s: %s\n", program_name(argv[0]), err.message);
		exit(EX_CONFIG);
	}
	if (options->print_config)
		exit(0);
	/* Secrets pass through here: no core, no look by others of this user.
	 */
	prctl(PR_SET_DUMPABLE, 0);
	return config;
}
