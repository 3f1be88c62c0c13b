#include "producer/catalogue/said.h"

#include "common/json/write.h"

struct said
said_parse(struct text stored, struct arena *arena)
{
	struct json_document *document = stored.size > 0
	    ? json_parse(stored, DOCUMENT_DEPTH_MAX, NULL)
	    : NULL;
	const struct json *root, *paused;
	struct said said = { 0 };

	if (document == NULL)
		return said;
	root = json_root(document);
	paused = json_get(root, "paused");
	said = (struct said){
		.is_known = true,
		.has_paused = paused != NULL,
		.paused = json_bool(paused),
		.version =
		    text_copy(arena, json_text(json_get(root, "version"))),
		.display_name =
		    text_copy(arena, json_text(json_get(root, "displayName"))),
		.description =
		    text_copy(arena, json_text(json_get(root, "description"))),
	};
	json_destroy(document);
	return said;
}

struct said
said_by(const struct file_schedule *schedule)
{
	return (struct said){
		.is_known = true,
		.has_paused = schedule->has_paused,
		.paused = schedule->paused,
		.version = schedule->versions[schedule->n_versions - 1].rid,
		.display_name = schedule->display_name,
		.description = schedule->description,
	};
}

struct text
said_write(const struct said *said, struct arena *arena)
{
	struct buffer out = { 0 };

	json_open(&out, '{');
	json_member_known(&out, "description", said->description);
	json_member_known(&out, "displayName", said->display_name);
	if (said->has_paused) {
		json_member_bool(&out, "paused", said->paused);
	}
	json_member_text(&out, "version", said->version);
	json_close(&out, '}');
	return buffer_keep(&out, arena);
}
