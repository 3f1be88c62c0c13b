#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/internal.h"

#define EX_CONFIG 78

/* What names a file; the adapter looks at that of its tokens when it reads it.
 */
static const struct named {
	const char *name;
	bool secret;
} names[] = {
	{ "builder.rules", false },
	{ "http.token.file", false },
	{ "http.jwks", false },
	{ "http.jwks.ca", false },
	{ "schema.registry.ca", false },
	{ "trace.ca", false },
	{ "ssl.ca.location", false },
	{ "ssl.certificate.location", false },
	{ "ssl.key.location", true },
	{ "ssl.keystore.location", true },
	{ "ssl.crl.location", false },
	{ "https.ca.location", false },
	{ "sasl.oauthbearer.assertion.private.key.file", true },
	{ "sasl.kerberos.keytab", true },
};

void
config_paths_put(
    struct config_paths *paths, const char *key, const char *path, bool secret)
{
	struct config_path *row = NULL;
	size_t i;

	for (i = 0; key != NULL && i < paths->n; i++)
		if (paths->at[i].key != NULL &&
		    strcmp(paths->at[i].key, key) == 0)
			row = &paths->at[i];
	if (row == NULL) {
		paths->at =
		    memory_resize(paths->at, paths->n + 1, sizeof *paths->at);
		row = &paths->at[paths->n++];
		row->key = key != NULL ? memory_copy_string(key) : NULL;
	} else {
		free(row->path);
	}
	row->path = memory_copy_string(path);
	row->secret = secret;
}

void
config_paths_set(
    struct config_paths *paths, const char *name, const char *value)
{
	const char *property;
	size_t i;

	if (config_block_of(name, &property) == CONFIG_BLOCKS)
		property = name;
	for (i = 0; i < sizeof names / sizeof names[0]; i++)
		if (strcmp(names[i].name, property) == 0)
			config_paths_put(paths, name, value, names[i].secret);
}

int
config_paths_check(
    const struct config_paths *paths, bool strict, struct error *err)
{
	size_t i;

	for (i = 0; i < paths->n; i++) {
		const char *path = paths->at[i].path;
		struct stat about;

		if (!paths->at[i].secret || stat(path, &about) != 0 ||
		    (about.st_mode & S_IROTH) == 0)
			continue;
		if (strict)
			return error_set(err, ERROR_FATAL,
			    "%s: holds a secret and everybody may read it; "
			    "chmod 0640, and let a unit load it",
			    path);
		log_event(LOG_WARN, "config", "secret_exposed",
		    "a file with a secret may be read by everybody; chmod "
		    "0640, and let a unit load it",
		    LOG_S("file", path), LOG_END);
	}
	return 0;
}

/* ssl.ca.location may be a folder, or a word for the usual places. */
static bool
is_authority(const struct config_path *path)
{
	const char *property;

	return path->key != NULL &&
	    config_block_of(path->key, &property) != CONFIG_BLOCKS &&
	    (strcmp(property, "ssl.ca.location") == 0 ||
		strcmp(property, "https.ca.location") == 0);
}

/* NULL: it can be read. */
static const char *
find_fault(const struct config_path *path)
{
	int fd = open(path->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	const char *fault = NULL;
	struct stat about;

	if (fd < 0 || fstat(fd, &about) != 0)
		fault = strerror(errno);
	else if (S_ISDIR(about.st_mode) && is_authority(path))
		;
	else if (!S_ISREG(about.st_mode))
		fault = "not a regular file";
	else if (path->key != NULL && about.st_size == 0)
		fault = "the file is empty";
	if (fd >= 0)
		close(fd);
	return fault;
}

bool
config_is_loaded_later(const char *path)
{
	static const char credentials[] = "/run/credentials/";

	return strncmp(path, credentials, sizeof credentials - 1) == 0 &&
	    access(path, R_OK) != 0;
}

int
config_path_check(const struct config_path *path, struct error *err)
{
	const char *fault;

	if (strstr(path->path, "://") != NULL ||
	    config_is_loaded_later(path->path) ||
	    (is_authority(path) && strcmp(path->path, "probe") == 0))
		return 0;
	fault = find_fault(path);
	if (fault == NULL)
		return 0;
	return error_fatal(err, EX_CONFIG, "%s%s%s: %s",
	    path->key != NULL ? path->key : "", path->key != NULL ? ": " : "",
	    path->path, fault);
}

void
config_paths_finish(struct config_paths *paths)
{
	size_t i;

	for (i = 0; i < paths->n; i++) {
		free(paths->at[i].key);
		free(paths->at[i].path);
	}
	free(paths->at);
}
