#ifndef SCHEDRUN_PRODUCER_RUNS_INTERNAL_H
#define SCHEDRUN_PRODUCER_RUNS_INTERNAL_H

#include "producer/runs/view.h"

/*
 * What the two files of the run view share: view.c (runs, lists, builds) and
 * view_write.c (what the fold writes).  Not for others.
 */
extern const char run_view_fold_source[];

/* Keys and arguments, in the arena. */
struct text run_view_run_key(struct run_view *view, const char *kind,
    const struct uuid *id, struct arena *arena);
struct text run_view_text_key(struct run_view *view, const char *kind,
    struct text name, struct arena *arena);
struct text run_view_number(int64_t value, struct arena *arena);
struct text run_view_place(
    const struct schedule_run *record, struct arena *arena);
struct text run_view_stored(
    const struct schedule_run *record, struct arena *arena);

/* One command or script; the reply is the caller's unless it is an error. */
struct redis_reply *run_view_command(struct run_view *view,
    const struct text *argv, size_t n, struct error *err);
struct redis_reply *run_view_script(struct run_view *view,
    struct redis_script *script, const struct text *keys, size_t n_keys,
    const struct text *args, size_t n_args, struct error *err);

#endif
