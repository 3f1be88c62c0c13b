#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/small_file.h"
#include "producer/check/list.h"

/*
 * Whether the units that are installed can read what the configuration names:
 * their user is a transient one, who reads what everybody may read and what
 * systemd, as root, has loaded for him.
 */
#define UNIT_SIZE_MAX ((size_t)64 * 1024)
#define CREDENTIALS "/run/credentials/"
#define USUAL_PATH                                                             \
	"/etc/systemd/system:/run/systemd/system:/usr/local/lib/systemd/"      \
	"system:/usr/lib/systemd/system:/lib/systemd/system"

/* A unit and what was added to it, as one text. */
struct unit {
	const char *name;
	struct text stem; /* of its instances' names as well */
	bool is_adapter;
	struct buffer lines;
	const struct config *config;
	struct check_list *list;
	bool faults;
};

static void
add_file(struct unit *unit, const char *path)
{
	struct buffer content = { 0 };
	bool exposed;

	if (small_file_read(path, UNIT_SIZE_MAX, &content, &exposed, NULL) == 0)
		buffer_format(
		    &unit->lines, "%.*s\n", TEXT_ARG(buffer_text(&content)));
	buffer_finish(&content);
}

/* Where systemd looks: the first of a name counts, and all that add to it. */
static void
find_unit(struct unit *unit)
{
	const char *given = getenv("SYSTEMD_UNIT_PATH");
	char pattern[PATH_MAX], *colon;
	glob_t found = { 0 };
	size_t i;

	snprintf(pattern, sizeof pattern, "{%s}/%s",
	    given != NULL ? given : USUAL_PATH, unit->name);
	while ((colon = strchr(pattern, ':')) != NULL)
		*colon = ',';
	if (glob(pattern, GLOB_BRACE, NULL, &found) == 0) {
		add_file(unit, found.gl_pathv[0]);
		strncat(
		    pattern, ".d/*.conf", sizeof pattern - strlen(pattern) - 1);
		globfree(&found);
		glob(pattern, GLOB_BRACE, NULL, &found);
		for (i = 0; i < found.gl_pathc; i++)
			add_file(unit, found.gl_pathv[i]);
	}
	globfree(&found);
}

/* The next line that begins with `name` and "=": what is behind it. */
static bool
next_setting(struct text *rest, struct text name, struct text *value)
{
	while (rest->size > 0) {
		const char *end = memchr(rest->at, '\n', rest->size);
		size_t size =
		    end != NULL ? (size_t)(end - rest->at) : rest->size;
		struct text line = text_trim((struct text){ rest->at, size });

		rest->at += size + (end != NULL);
		rest->size -= size + (end != NULL);
		if (line.size > name.size && line.at[name.size] == '=' &&
		    text_starts_with(line, name)) {
			*value =
			    text_trim((struct text){ line.at + name.size + 1,
				line.size - name.size - 1 });
			return true;
		}
	}
	return false;
}

/* The last value of it; no text: there is none. */
static struct text
unit_setting(const struct unit *unit, struct text name)
{
	struct text rest = buffer_text(&unit->lines), last = TEXT_NONE;

	while (next_setting(&rest, name, &last))
		;
	return last;
}

/* Where a credential is loaded from; no text: it isn't. */
static struct text
credential_source(const struct unit *unit, struct text name)
{
	struct text rest = buffer_text(&unit->lines), value;
	struct text source = TEXT_NONE;

	while (next_setting(&rest, TEXT("LoadCredential"), &value)) {
		if (value.size == 0)
			source = TEXT_NONE; /* forgets those before it */
		if (value.size > name.size + 1 && value.at[name.size] == ':' &&
		    text_starts_with(value, name))
			source = (struct text){ value.at + name.size + 1,
				value.size - name.size - 1 };
	}
	return source;
}

static void
unit_fault(struct unit *unit, const struct config_path *path, const char *what,
    const char *mend)
{
	char detail[PATH_MAX + 256];

	snprintf(detail, sizeof detail, "%s%s%s: %s",
	    path->key != NULL ? path->key : "", path->key != NULL ? " " : "",
	    path->path, what);
	check_fault(unit->list, unit->name, detail, mend);
	unit->faults = true;
}

/* By the file's mode, or that of a folder that it is in. */
static bool
is_kept_from_others(const char *path)
{
	char part[PATH_MAX], *slash = part + 1;
	mode_t needed = S_IROTH;
	struct stat about;

	snprintf(part, sizeof part, "%s", path);
	for (; slash != part; *slash = '\0') {
		if (stat(part, &about) == 0 && (about.st_mode & needed) == 0)
			return true;
		needed = S_IXOTH;
		slash = strrchr(part, '/');
	}
	return false;
}

/* What is to be below the unit's own credentials' directory. */
static void
check_credential(
    struct unit *unit, const struct config_path *path, const char *name)
{
	struct text source = credential_source(unit, text_from(name));
	char file[PATH_MAX], mend[PATH_MAX + 64];
	struct stat about;

	snprintf(file, sizeof file, "%.*s", TEXT_ARG(source));
	if (source.at == NULL) {
		snprintf(mend, sizeof mend,
		    "systemctl edit %s: LoadCredential=%s:/etc/schedrun/%s",
		    unit->name, name, name);
		unit_fault(
		    unit, path, "the unit loads no such credential", mend);
	} else if (stat(file, &about) != 0 && errno == ENOENT) {
		snprintf(mend, sizeof mend, "write %s, chmod 0600", file);
		unit_fault(unit, path,
		    "the unit loads it from what isn't there", mend);
	} else if (stat(file, &about) == 0 && (about.st_mode & S_IROTH) != 0) {
		snprintf(mend, sizeof mend, "chmod 0600 %s", file);
		unit_fault(unit, path,
		    "the unit loads it from what everybody may read", mend);
	}
}

/* The variable that is the key's: redis.url -> SCHEDRUN_REDIS_URL= */
static void
name_variable(const char *key, struct buffer *out)
{
	buffer_format(out, "SCHEDRUN_");
	for (; *key != '\0'; key++)
		if (*key >= 'a' && *key <= 'z')
			buffer_byte(out, (char)(*key - 'a' + 'A'));
		else
			buffer_byte(out, *key == '.' ? '_' : *key);
	buffer_byte(out, '=');
}

/* Whether the unit sets it for itself, in place of the configuration. */
static bool
has_own_value(const struct unit *unit, const char *key)
{
	struct text rest = buffer_text(&unit->lines), value;
	struct buffer variable = { 0 };
	bool found = false;

	name_variable(key, &variable);
	while (!found && next_setting(&rest, TEXT("Environment"), &value))
		found = text_starts_with(value, buffer_text(&variable));
	buffer_finish(&variable);
	return found;
}

/* Whether the unit's program looks at a path at all. */
static bool
is_read(const struct unit *unit, const struct config_path *path)
{
	const char *mode = config_text(unit->config, "http.auth");

	if (path->path[0] != '/')
		return false; /* a URL, or of nobody knows which folder */
	if (path->key == NULL)
		return true;
	if (strncmp(path->key, "http.", 5) != 0)
		return !has_own_value(unit, path->key);
	return unit->is_adapter && !has_own_value(unit, path->key) &&
	    (strcmp(path->key, "http.token.file") == 0) ==
	    (strcmp(mode, "token-file") == 0);
}

static void
check_path(void *argument, const struct config_path *path)
{
	struct unit *unit = argument;
	struct text rest = text_from(path->path);
	char mend[PATH_MAX + 128];
	const char *base;

	if (!is_read(unit, path))
		return;
	base = strrchr(path->path, '/') + 1;
	if (text_starts_with(rest, TEXT(CREDENTIALS))) {
		rest.at += sizeof CREDENTIALS - 1;
		rest.size -= sizeof CREDENTIALS - 1;
		if (text_starts_with(rest, unit->stem))
			check_credential(unit, path, base);
		else
			unit_fault(unit, path, "is another unit's",
			    "see docs/operation.md, section 7");
		return;
	}
	/* What it loads as schedrun.secrets it also reads from there. */
	if ((path->key == NULL &&
		text_equal(credential_source(unit, text_from(base)), rest)) ||
	    !is_kept_from_others(path->path))
		return;
	snprintf(mend, sizeof mend,
	    path->key == NULL
		? "chmod 0644 %s, its secrets in schedrun.secrets beside it"
		: "LoadCredential= for %s: docs/operation.md, section 7",
	    path->path);
	unit_fault(unit, path, "the unit's user may not read it", mend);
}

static void
find_own_file(void *argument, const struct config_path *path)
{
	const char **file = argument;

	if (path->key == NULL && *file == NULL)
		*file = path->path;
}

/* Whether the unit is started with the file that is being checked. */
static bool
reads_this_file(const struct unit *unit)
{
	struct text command = unit_setting(unit, TEXT("ExecStart"));
	const char *file = NULL;
	char given[PATH_MAX + 8], padded[PATH_MAX + 512];

	config_each_path(unit->config, find_own_file, &file);
	snprintf(given, sizeof given, " -c %s ", file != NULL ? file : "");
	snprintf(padded, sizeof padded, "%.*s ", TEXT_ARG(command));
	return strstr(padded, given) != NULL;
}

static bool
has_other_user(const struct unit *unit)
{
	return unit_setting(unit, TEXT("User")).size > 0 ||
	    unit_setting(unit, TEXT("Group")).size > 0 ||
	    unit_setting(unit, TEXT("SupplementaryGroups")).size > 0;
}

static void
check_unit(struct unit *unit)
{
	if (!reads_this_file(unit)) {
		check_note(unit->list, unit->name,
		    "its ExecStart names another configuration than this one",
		    "schedrun -c FILE check, with that one");
	} else if (has_other_user(unit)) {
		check_fine(unit->list, unit->name, "its user was changed");
	} else {
		config_each_path(unit->config, check_path, unit);
		if (!unit->faults)
			check_fine(unit->list, unit->name,
			    "may read what the configuration names");
	}
}

void
check_units(struct check_list *list)
{
	struct unit units[] = {
		{ .name = "schedrun-worker@.service",
		    .stem = TEXT("schedrun-worker@") },
		{ .name = "schedrun-http.service",
		    .stem = TEXT("schedrun-http.service/"),
		    .is_adapter = true },
		{ .name = "schedrun-builder.service",
		    .stem = TEXT("schedrun-builder.service/") },
		{ .name = "schedrun-trigger.service",
		    .stem = TEXT("schedrun-trigger.service/") },
	};
	size_t i;

	for (i = 0; i < sizeof units / sizeof units[0]; i++) {
		units[i].list = list;
		units[i].config = command_config(list->command);
		find_unit(&units[i]);
		if (units[i].lines.size > 0)
			check_unit(&units[i]);
		buffer_finish(&units[i].lines);
	}
}
