/* A request's target. */
#include "common/http/path.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct arena *arena = arena_create(0);
	struct http_path path;
	const char *reason = NULL;
	struct text value;
	size_t i;

	if (http_path_parse((struct text){ (const char *)bytes, size }, arena,
		&path, &reason) != 0) {
		assert(reason != NULL);
	} else {
		assert(path.n_segments <= HTTP_SEGMENTS_MAX);
		assert(path.n_parameters <= HTTP_PARAMETERS_MAX);
		for (i = 0; i < path.n_segments; i++) {
			assert(text_is_utf8(path.segments[i]));
			assert(!text_has_control(path.segments[i]));
		}
		http_path_get(&path, "preview", &value);
	}
	arena_destroy(arena);
	return 0;
}
