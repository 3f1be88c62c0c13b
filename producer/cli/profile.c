#include "producer/cli/profile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/memory.h"
#include "common/base/small_file.h"

#define NAME_MAX_SIZE 64
#define EX_USAGE 2

bool
profile_is_name(const char *name)
{
	size_t size = strlen(name);

	return size > 0 && size <= NAME_MAX_SIZE && name[0] != '.' &&
	    strspn(name,
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"0123456789._-") == size;
}

static const char *
path_variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] == '/' ? value : NULL;
}

static bool
put_folder(struct buffer *path)
{
	const char *config = path_variable("XDG_CONFIG_HOME");
	const char *home = path_variable("HOME");

	if (config == NULL && home == NULL)
		return false;
	buffer_format(path, "%s%s/schedrun", config != NULL ? config : home,
	    config != NULL ? "" : "/.config");
	return true;
}

bool
profile_folder(struct buffer *path)
{
	bool known = put_folder(path);

	buffer_byte(path, '\0');
	return known;
}

bool
profile_file(const char *name, struct buffer *path)
{
	bool known = put_folder(path);

	buffer_format(path, "/%s/schedrun.conf", name);
	buffer_byte(path, '\0');
	return known;
}

/* The file that says which one is in use, with `more` behind its name. */
static bool
put_choice(const char *more, struct buffer *path)
{
	bool known = put_folder(path);

	buffer_format(path, "/profile%s", more);
	buffer_byte(path, '\0');
	return known;
}

char *
profile_in_use(void)
{
	struct buffer path = { 0 }, content = { 0 };
	struct error ignored;
	char *name = NULL;
	bool exposed;

	if (put_choice("", &path) &&
	    small_file_read(path.at, NAME_MAX_SIZE + 1, &content, &exposed,
		&ignored) == 0 &&
	    content.size > 1) {
		content.at[content.size - 1] = '\0'; /* the line's end */
		if (profile_is_name(content.at))
			name = memory_copy_string(content.at);
	}
	buffer_finish(&path);
	buffer_finish(&content);
	return name;
}

static int
fail_at(struct error *err, const char *path)
{
	return error_fatal(err, EX_USAGE, "%s: %s", path, strerror(errno));
}

/* Also the folders above it that aren't there, as the user's own. */
static int
make_folder(char *path, struct error *err)
{
	char *slash = path;

	while ((slash = strchr(slash + 1, '/')) != NULL) {
		*slash = '\0';
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return fail_at(err, path);
		*slash = '/';
	}
	return 0;
}

int
profile_make_folder(struct error *err)
{
	struct buffer path = { 0 };
	int rc = put_choice("", &path)
	    ? make_folder(path.at, err)
	    : error_fatal(err, EX_USAGE, "HOME is not set");

	buffer_finish(&path);
	return rc;
}

/* Whole or not at all. */
static int
write_choice(
    const char *name, const char *path, const char *made, struct error *err)
{
	FILE *file = fopen(made, "w");
	bool written;

	if (file == NULL)
		return fail_at(err, made);
	written = fprintf(file, "%s\n", name) > 0;
	if (fclose(file) != 0 || !written || rename(made, path) != 0) {
		fail_at(err, path);
		remove(made);
		return -1;
	}
	return 0;
}

int
profile_use(const char *name, struct error *err)
{
	struct buffer path = { 0 }, made = { 0 };
	int rc = 0;

	if (!put_choice("", &path) || !put_choice(".new", &made))
		rc = error_fatal(err, EX_USAGE, "HOME is not set");
	else if (name == NULL)
		rc = unlink(path.at) == 0 || errno == ENOENT
		    ? 0
		    : fail_at(err, path.at);
	else
		rc = write_choice(name, path.at, made.at, err);
	buffer_finish(&path);
	buffer_finish(&made);
	return rc;
}

static char *
find_file(const char *name, struct error *err)
{
	struct buffer path = { 0 };
	bool known = profile_file(name, &path);

	if (profile_is_name(name) && known && access(path.at, F_OK) == 0)
		return path.at;
	if (!profile_is_name(name))
		error_fatal(err, EX_USAGE,
		    "\"%s\" is no profile's name (letters, digits, \".\", "
		    "\"_\" and \"-\")",
		    name);
	else
		error_fatal(err, EX_USAGE,
		    "no profile \"%s\": %s isn't there; try: schedrun profile "
		    "list",
		    name, path.at);
	buffer_finish(&path);
	return NULL;
}

char *
profile_choose(const char *name, struct error *err)
{
	const char *given = getenv("SCHEDRUN_CONFIG");
	char *used, *path;

	if (name != NULL)
		return find_file(name, err);
	if ((given != NULL && given[0] != '\0') ||
	    access("./schedrun.conf", F_OK) == 0)
		return NULL;
	used = profile_in_use();
	if (used == NULL)
		return NULL;
	path = find_file(used, err);
	free(used);
	return path;
}
