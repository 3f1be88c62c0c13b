#include "producer/dashboard/page.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/embed.h"

#define SCRIPT "text/javascript; charset=utf-8"
#define ETAG_SIZE 48

/*
 * Nothing from elsewhere is loaded, nothing of ours is framed, and no text ever
 * becomes code or markup: what tests/e2e/test_page.py tries with hostile names
 * fails here once more.
 */
#define POLICY                                                                 \
	"default-src 'none'; script-src 'self'; style-src 'self'; "            \
	"connect-src 'self'; img-src 'self'; base-uri 'none'; "                \
	"form-action 'none'; frame-ancestors 'none'; "                         \
	"require-trusted-types-for 'script'; trusted-types 'none'"

EMBED(page_index, "producer/page/index.html")
EMBED(page_style, "producer/page/style.css")
EMBED(page_icon, "producer/page/icon.svg")
EMBED(page_main, "producer/page/main.js")
EMBED(page_state, "producer/page/state.js")
EMBED(page_look, "producer/page/look.js")
EMBED(page_chain, "producer/page/chain.js")
EMBED(page_api, "producer/page/api.js")
EMBED(page_dom, "producer/page/dom.js")
EMBED(page_live, "producer/page/live.js")
EMBED(page_builds, "producer/page/builds.js")
EMBED(page_due, "producer/page/due.js")
EMBED(page_datasets, "producer/page/datasets.js")
EMBED(page_dataset, "producer/page/dataset.js")
EMBED(page_health, "producer/page/health.js")
EMBED(page_runs, "producer/page/runs.js")
EMBED(page_run, "producer/page/run.js")
EMBED(page_graph, "producer/page/graph.js")
EMBED(page_letters, "producer/page/letters.js")
EMBED(page_plots, "producer/page/plots.js")
EMBED(page_stale, "producer/page/stale.js")
EMBED(page_schedules, "producer/page/schedules.js")

static const struct page_file {
	const char *name, *type;
	const char *at, *end;
} files[] = {
	{ "index.html", "text/html; charset=utf-8", page_index,
	    page_index_end },
	{ "style.css", "text/css; charset=utf-8", page_style, page_style_end },
	{ "icon.svg", "image/svg+xml", page_icon, page_icon_end },
	{ "main.js", SCRIPT, page_main, page_main_end },
	{ "state.js", SCRIPT, page_state, page_state_end },
	{ "look.js", SCRIPT, page_look, page_look_end },
	{ "chain.js", SCRIPT, page_chain, page_chain_end },
	{ "api.js", SCRIPT, page_api, page_api_end },
	{ "dom.js", SCRIPT, page_dom, page_dom_end },
	{ "live.js", SCRIPT, page_live, page_live_end },
	{ "builds.js", SCRIPT, page_builds, page_builds_end },
	{ "due.js", SCRIPT, page_due, page_due_end },
	{ "datasets.js", SCRIPT, page_datasets, page_datasets_end },
	{ "dataset.js", SCRIPT, page_dataset, page_dataset_end },
	{ "health.js", SCRIPT, page_health, page_health_end },
	{ "runs.js", SCRIPT, page_runs, page_runs_end },
	{ "run.js", SCRIPT, page_run, page_run_end },
	{ "graph.js", SCRIPT, page_graph, page_graph_end },
	{ "letters.js", SCRIPT, page_letters, page_letters_end },
	{ "plots.js", SCRIPT, page_plots, page_plots_end },
	{ "stale.js", SCRIPT, page_stale, page_stale_end },
	{ "schedules.js", SCRIPT, page_schedules, page_schedules_end },
};
#define N_FILES (sizeof files / sizeof files[0])

static struct text
content_of(const struct page_file *file)
{
	return (struct text){ file->at,
		(size_t)((uintptr_t)file->end - (uintptr_t)file->at) };
}

/* Whether the browser has this one: one of the tags in a list, or any. */
static bool
is_had(const struct http_call *call, const char *tag)
{
	struct text list = http_head_get(call->asked.head, "if-none-match");
	struct text one = text_from(tag);
	size_t i;

	if (text_equal(list, TEXT("*")))
		return true;
	for (i = 0; list.at != NULL && i + one.size <= list.size; i++)
		if (memcmp(list.at + i, one.at, one.size) == 0)
			return true;
	return false;
}

static void
answer_file(struct http_call *call, const struct page_file *file)
{
	struct http_answer answer = { .status = 200, .cache = "no-cache" };
	struct text content = content_of(file);
	char *tag = arena_alloc(call->arena, ETAG_SIZE);

	snprintf(
	    tag, ETAG_SIZE, "\"%zx-%zx\"", content.size, text_hash(content));
	http_call_field(call, "ETag", text_from(tag));
	http_call_field(call, "Content-Security-Policy", TEXT(POLICY));
	http_call_field(call, "Referrer-Policy", TEXT("no-referrer"));
	http_call_field(
	    call, "Cross-Origin-Opener-Policy", TEXT("same-origin"));
	http_call_field(
	    call, "Cross-Origin-Resource-Policy", TEXT("same-origin"));
	if (is_had(call, tag)) {
		answer.status = 304;
	} else {
		answer.content_type = file->type;
		answer.body = content;
	}
	http_call_answer(call, &answer);
}

void
dashboard_page_get(struct http_call *call)
{
	answer_file(call, &files[0]);
}

void
dashboard_file_get(struct http_call *call)
{
	size_t i;

	for (i = 1; i < N_FILES; i++)
		if (text_equal(call->asked.rids[0], text_from(files[i].name))) {
			answer_file(call, &files[i]);
			return;
		}
	http_call_empty(call, 404);
}
