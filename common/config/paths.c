#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/config/internal.h"

/* What names a file; the adapter looks at that of its tokens when it reads it.
 */
static const struct named {
	const char *name;
	bool secret;
} names[] = {
	{ "http.token.file", false },
	{ "http.jwks", false },
	{ "http.jwks.ca", false },
	{ "schema.registry.ca", false },
	{ "ssl.ca.location", false },
	{ "ssl.certificate.location", false },
	{ "ssl.key.location", true },
	{ "ssl.keystore.location", true },
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
