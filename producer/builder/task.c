#include "producer/builder/task.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "producer/builder/brief.h"
#include "producer/builder/metrics.h"
#include "producer/builder/process.h"
#include "schemas/stored/time_unit.h"

#define KEEP_MS 5000 /* between two renewals of a lease */
#define BUSY_MS 300  /* until a lease that somebody has is asked for again */
#define AGAIN_MS 1000
#define MARGIN_MS 3000
#define GRACE_MS 10000 /* from SIGTERM to SIGKILL */
#define EX_TEMPFAIL 75

struct task {
	struct job_runner *runner;
	struct open_build *build;
	size_t job;
	struct arena *arena;
	struct lease lease;
	struct job_look look;
	struct brief brief;
	char *log;
	const char *program;     /* the rules' own; NULL as the next */
	struct process *process; /* NULL: none was needed */
	enum task_doom doom;
	int64_t until_ms; /* monotonic, as the next; 0: as long as it takes */
	int64_t kill_ms;  /* 0: not to be killed */
	int64_t begun_ms, ended_ms; /* Unix time */
	struct trace_span span;     /* if its build is traced */
	bool is_judged; /* what follows is known, and to be reported */
	enum job_state state;
	const struct text *transactions; /* of JOB_SUCCEEDED */
	int64_t retry_ms; /* of JOB_WAITING: until it is tried again */
	struct text said;
};

static struct open_job *
open_job_of(const struct task *task)
{
	return &task->build->jobs[task->job];
}

static void
free_task(struct task *task)
{
	process_destroy(task->process);
	free(task->log);
	arena_destroy(task->arena);
	free(task);
}

/* What is said of the job from now on. */
static struct text
say_state(const struct task *task, enum job_state state, struct text note)
{
	const bool ended = task->process != NULL && task->ended_ms != 0;
	const struct job_said said = {
		.state = state,
		.attempt = task->brief.attempt,
		.begun_ms = task->begun_ms,
		.ended_ms = task->ended_ms,
		.code = ended ? process_code(task->process) : 0,
		.lost = open_job_of(task)->lost,
		.host = text_from(task->runner->host),
		.note = note,
	};
	struct buffer out = { 0 };

	job_said_write(&said, &out);
	return buffer_keep(&out, task->arena);
}

static void
judge(struct task *task, enum job_state state, struct text note)
{
	task->is_judged = true;
	task->state = state;
	task->said = say_state(task, state, note);
}

static void
begin_trace(struct task *task)
{
	const struct open_build *build = task->build;
	char header[TRACE_PARENT_SIZE];

	if (!build->is_traced)
		return;
	trace_span_below(&build->span, &build->event.job_ids[task->job], "job",
	    task->brief.attempt, &task->span);
	trace_context_write(&task->span.own, header);
	task->brief.traceparent =
	    text_copy(task->arena, (struct text){ header, sizeof header });
}

static void
tell_trace(const struct task *task, const char *state)
{
	const bool failed =
	    task->state == JOB_FAILED || task->doom == DOOM_LOST;
	const struct job_spec *spec = job_of(&task->brief.ref)->spec;
	struct trace_span span = task->span;
	const struct trace_attribute attributes[] = {
		{ "schedrun.job", TEXT_NONE, (int64_t)task->job },
		{ "schedrun.spec", spec->rid, 0 },
		{ "schedrun.output", spec->outputs[0], 0 },
		{ "schedrun.attempt", TEXT_NONE, task->brief.attempt },
		{ "schedrun.state", text_from(state), 0 },
		{ task->process != NULL ? "process.exit.code" : NULL, TEXT_NONE,
		    task->process != NULL ? process_code(task->process) : 0 },
		{ NULL, TEXT_NONE, 0 },
	};

	if (!task->build->is_traced)
		return;
	span.ended_ns = trace_now_ns();
	span.failure = failed ? state : NULL;
	tracer_add(&span, attributes);
}

/* Logs it, with the build and what the job writes first. */
static void
log_job(const struct task *task, bool has_ended, const char *state,
    const char *message)
{
	char build[RID_SIZE_MAX];
	const struct job_spec *spec = job_of(&task->brief.ref)->spec;
	bool failed =
	    has_ended && (task->state == JOB_FAILED || task->doom == DOOM_LOST);

	log_event(failed ? LOG_WARN : LOG_INFO, "builder",
	    failed          ? "job_failed"
		: has_ended ? "job_ended"
			    : "job_begun",
	    message,
	    LOG_T("build",
		((struct text){ build,
		    rid_format(
			TEXT(RID_BUILD_PREFIX), &task->build->id, build) })),
	    LOG_I("job", task->job), LOG_T("output", spec->outputs[0]),
	    LOG_S("state", state), LOG_I("attempt", task->brief.attempt),
	    LOG_I("code",
		task->process != NULL ? process_code(task->process) : 0),
	    LOG_S("program", task->program != NULL ? task->program : ""),
	    LOG_S("log", task->log), LOG_END);
}

static void
tell_job(const struct task *task, const char *state, const char *message)
{
	log_job(task, true, state, message);
	tell_trace(task, state);
}

static void
count_end(const struct task *task, enum builder_job end)
{
	metrics_add(task->runner->metrics, BUILDER_JOBS, end, 1);
}

/* The job waits again, until a lease comes back or the time is over. */
static void
wait_again(struct task *task, int64_t ms, uint64_t round)
{
	struct open_job *open = open_job_of(task);

	if (open->state == JOB_RUNNING)
		task->build->n_running--;
	open->state = JOB_WAITING;
	open->not_before_ms = clock_monotonic_ms() + ms;
	open->round = round;
}

/* Beginning --------------------------------------------------------------- */

static char *
log_path(
    const struct job_runner *runner, const struct open_build *build, size_t job)
{
	char id[UUID_TEXT_SIZE];
	struct buffer path = { 0 };

	uuid_format(&build->id, id);
	buffer_format(
	    &path, "%s/%.*s/%zu.log", runner->logs, UUID_TEXT_SIZE, id, job);
	buffer_byte(&path, '\0');
	return path.at;
}

static int
start_process(struct task *task, struct error *err)
{
	const struct job_command *command =
	    job_rules_choose(task->runner->rules,
		job_of(&task->brief.ref)->spec, task->look.projects);
	const struct process_settings settings = {
		.command = command,
		.envp = brief_environment(&task->brief),
		.input = brief_document(&task->brief),
		.log = task->log,
		.log_max = task->runner->log_max,
		.ended = task->runner->ended,
		.argument = task->runner->argument,
	};
	char *name = strrchr(task->log, '/');

	*name = '\0';
	/* That it can't be made shows when the file can't. */
	(void)mkdir(task->log, 0750);
	*name = '/';
	task->process = process_start(&settings, err);
	if (task->process == NULL)
		return -1;
	task->program = command->argv[0];
	if (command->limits.time_ms > 0)
		task->until_ms = clock_monotonic_ms() + command->limits.time_ms;
	return 0;
}

/* 1: there is a process; 0: the lease is lost by now; -1: failed. */
static int
begin_work(struct task *task, struct error *err)
{
	int rc = lease_note(&task->runner->store, &task->lease,
	    say_state(task, JOB_RUNNING, TEXT_NONE), false, err);

	if (rc != 1)
		return rc;
	if (start_process(task, err) == 0) {
		log_job(task, false, job_state_name(JOB_RUNNING),
		    "a job was begun");
		return 1;
	}
	log_event(
	    LOG_ERROR, "builder", "job_not_started", err->message, LOG_END);
	return 0;
}

/* What the producer of an input in this build has made of it; none: unknown. */
static struct text
made_in_build(const struct task *task, const struct job *job, size_t i)
{
	size_t producer = (size_t)job->inputs[i].job;
	const struct job_spec *spec =
	    task->build->event.build.jobs[producer].spec;
	const struct text *made = task->build->jobs[producer].made;
	size_t k;

	for (k = 0; made != NULL && k < spec->n_outputs; k++)
		if (text_equal(spec->outputs[k], job->spec->inputs[i].rid))
			return made[k];
	return TEXT_NONE;
}

/* Whether it reads just what its fingerprint is of. */
static bool
reads_as_planned(const struct task *task)
{
	const struct job *job = job_of(&task->brief.ref);
	size_t i;

	for (i = 0; i < job->spec->n_inputs; i++) {
		const struct branch *read = job->inputs[i].read;
		struct text planned = TEXT_NONE;

		if (job->inputs[i].job >= 0)
			planned = made_in_build(task, job, i);
		else if (read != NULL)
			planned = read->head;
		if (!text_equal(planned, task->look.transactions[i]) ||
		    (planned.at == NULL && job->inputs[i].job >= 0))
			return false;
	}
	return true;
}

static struct text
list_transactions(const struct task *task, const struct text *transactions)
{
	size_t n = job_of(&task->brief.ref)->spec->n_outputs, i;
	struct buffer out = { 0 };

	for (i = 0; i < n; i++) {
		buffer_append(&out, transactions[i]);
		buffer_byte(&out, ' ');
	}
	return buffer_keep(&out, task->arena);
}

/* What stands there is what the fingerprint stands for. */
static void
note_made(struct task *task, const struct text *transactions)
{
	size_t n = job_of(&task->brief.ref)->spec->n_outputs, i;
	struct arena *arena = task->build->arena;
	struct text *made = arena_alloc(arena, (n + 1) * sizeof *made);

	for (i = 0; i < n; i++)
		made[i] = text_copy(arena, transactions[i]);
	open_job_of(task)->made = made;
}

/*
 * Whether there is nothing to do: the outputs were made of what is there now,
 * or, whatever has come since, of just what the build's event names.
 */
static bool
is_done(struct task *task, struct text made)
{
	bool is_made = made.size > 0 &&
	    text_equal(made, list_transactions(task, task->look.heads));

	if (is_made || (task->look.up_to_date && reads_as_planned(task)))
		note_made(task, task->look.heads);
	return is_made || task->look.up_to_date;
}

/*
 * What is to be done of the job, by the heads as they are now: also what can't
 * be read of them is an answer.  As of begin_work.
 */
static int
look_first(struct task *task, struct text made, struct error *err)
{
	int rc = job_look_now(&task->brief.ref, &task->look, err);

	if (rc != 0 && err->kind != ERROR_INPUT)
		return -1;
	if (rc == 0 && !is_done(task, made))
		return begin_work(task, err);
	task->ended_ms = task->begun_ms;
	if (rc == 0)
		judge(task, JOB_UP_TO_DATE, TEXT_NONE);
	else
		judge(task, JOB_FAILED,
		    text_copy(task->arena, text_from(err->message)));
	return 1;
}

/* Each try has ended with its builder: the job is why, or may be. */
static int
give_up(struct task *task)
{
	struct buffer note = { 0 };

	buffer_format(&note,
	    "it was begun %lld times, and its end was never seen: its builder "
	    "ended with it, or lost its lease (builder.restarts)",
	    (long long)open_job_of(task)->lost);
	task->ended_ms = task->begun_ms;
	judge(task, JOB_FAILED, buffer_keep(&note, task->arena));
	return 1;
}

bool
task_is_last_try(
    const struct job_runner *runner, const struct open_build *build, size_t job)
{
	return runner->restarts > 0 &&
	    build->jobs[job].lost == runner->restarts;
}

/*
 * The lease is ours.  Another builder may have worked on this very job, before
 * its partition came here; and who reports a build by hand has the last word.
 */
static int
go_on(struct task *task, const struct lease_news *news, struct error *err)
{
	struct open_job *open = open_job_of(task);
	int64_t known = open->lost;
	struct job_said said;

	job_said_read(news->job, &said);
	/* Whoever was at it has not its lease any more. */
	open->lost = said.lost + (said.state == JOB_RUNNING);
	if (news->build.size > 0)
		task->build->over = true;
	else if (job_has_ended(said.state))
		open_build_ended(task->build, task->job, said.state);
	else if (open->lost > task->runner->restarts)
		return give_up(task);
	/* A last try that was not known for one is made soon, alone. */
	else if (open->lost == known ||
	    !task_is_last_try(task->runner, task->build, task->job))
		return look_first(task, news->made, err);
	return 0;
}

int
task_start(struct job_runner *runner, struct open_build *build, size_t job,
    struct task **started, struct error *err)
{
	struct task *task = memory_zalloc(1, sizeof *task);
	struct lease_news news;
	struct error ignored;
	int rc;

	task->runner = runner;
	task->build = build;
	task->job = job;
	task->arena = arena_create(0);
	task->log = log_path(runner, build, job);
	task->begun_ms = clock_wall_ms();
	task->brief = (struct brief){
		.ref = { &runner->store, &build->event, job, task->arena },
		.look = &task->look,
		.attempt = build->jobs[job].attempts + 1,
	};
	begin_trace(task);
	rc = lease_take(&task->brief.ref, &task->lease, &news, err);
	task->brief.number = task->lease.number;
	if (rc == 1) {
		rc = go_on(task, &news, err);
		if (rc != 1)
			lease_drop(&runner->store, &task->lease, &ignored);
		else
			build->n_running++;
	}
	if (rc == 1) {
		build->jobs[job].state = JOB_RUNNING;
		build->jobs[job].attempts++;
		*started = task;
		return 1;
	}
	if (build->jobs[job].state == JOB_WAITING)
		wait_again(task, rc == 0 ? BUSY_MS : AGAIN_MS, runner->round);
	free_task(task);
	return rc;
}

/* Ending ------------------------------------------------------------------ */

static int64_t
backoff_ms(const struct build *build)
{
	static const int64_t units[] = { 1, 1000, 60000, 3600000, 86400000,
		7 * 86400000LL, 30 * 86400000LL, 365 * 86400000LL };
	const struct duration *backoff = &build->version->retry_backoff;
	int32_t unit = time_unit_index(backoff->unit);

	return unit >= 0 && backoff->value > 0 ? units[unit] * backoff->value
					       : 0;
}

/* The last lines of what it wrote, for the log and for whoever asks. */
static struct text
tail_of(const struct task *task)
{
	struct text tail = process_tail(task->process);
	struct buffer out = { 0 };
	size_t good;

	for (; tail.size > 0; tail.at += good, tail.size -= good) {
		good = text_utf8_size(tail);
		buffer_append(&out, (struct text){ tail.at, good });
		if (good < tail.size) {
			buffer_byte(&out, '?');
			good++;
		}
	}
	return buffer_keep(&out, task->arena);
}

/* Whoever looks at the last line sees why. */
static struct text
tail_of_overdue(const struct task *task)
{
	struct buffer out = { 0 };
	struct text tail = tail_of(task);

	buffer_append(&out, tail);
	if (tail.size > 0 && tail.at[tail.size - 1] != '\n')
		buffer_byte(&out, '\n');
	buffer_format(&out,
	    "schedrun-builder: it was ended behind the time that its rule "
	    "gives it (builder.rules)");
	return buffer_keep(&out, task->arena);
}

static void
judge_success(struct task *task)
{
	struct error err = { 0 };

	task->transactions =
	    brief_answer(&task->brief, process_answer(task->process), &err);
	if (task->transactions != NULL)
		judge(task, JOB_SUCCEEDED, TEXT_NONE);
	else
		judge(task, JOB_FAILED,
		    text_copy(task->arena, text_from(err.message)));
}

static void
judge_end(struct task *task)
{
	const struct build *build = &task->build->event.build;
	int code = process_code(task->process);

	task->ended_ms = clock_wall_ms();
	metrics_observe(task->runner->metrics, BUILDER_JOB_SECONDS, 0,
	    (double)(task->ended_ms - task->begun_ms) / 1000.0, 1);
	if (task->doom == DOOM_DRAINED)
		judge(task, JOB_WAITING, TEXT("the builder has ended"));
	else if (task->doom == DOOM_ABORTED)
		judge(task, JOB_SKIPPED, TEXT("another job has failed"));
	else if (task->doom == DOOM_CANCELED)
		judge(task, JOB_SKIPPED, TEXT("the build was canceled"));
	else if (task->doom == DOOM_OVERDUE)
		judge(task, JOB_FAILED, tail_of_overdue(task));
	else if (code == 0)
		judge_success(task);
	else if (code == EX_TEMPFAIL &&
	    task->brief.attempt <= build->retry_count)
		judge(task, JOB_WAITING, tail_of(task));
	else
		judge(task, JOB_FAILED, tail_of(task));
	task->retry_ms = backoff_ms(build);
}

/* Behind the first line of what is said stands what the job has said last. */
static const char *
last_words(const struct task *task)
{
	const char *words = memchr(task->said.at, '\n', task->said.size);

	return words != NULL && words[1] != '\0' ? words + 1
						 : "it has said nothing";
}

static void
tell_end(const struct task *task)
{
	switch (task->state) {
	case JOB_SUCCEEDED:
		count_end(task, DID_SUCCEED);
		tell_job(task, "succeeded", "a job has succeeded");
		break;
	case JOB_UP_TO_DATE:
		count_end(task, WAS_UP_TO_DATE);
		tell_job(task, "up_to_date",
		    "its outputs were made of just these inputs already");
		break;
	case JOB_SKIPPED:
		count_end(task, WAS_ABORTED);
		tell_job(task, "aborted",
		    task->doom == DOOM_CANCELED ? "the build was canceled"
						: "another job has failed");
		break;
	case JOB_WAITING:
		count_end(task, IS_RETRIED);
		tell_job(task, "retried", "the job is tried again");
		break;
	default:
		count_end(task, DID_FAIL);
		tell_job(task, "failed", last_words(task));
	}
}

static void
finish_job(struct task *task)
{
	tell_end(task);
	task->runner->round++;
	if (task->state == JOB_WAITING)
		wait_again(task, task->retry_ms, 0);
	else
		open_build_ended(task->build, task->job, task->state);
}

static void
lose_job(struct task *task)
{
	count_end(task, WAS_LOST);
	task->doom = DOOM_LOST;
	tell_job(task, "lost",
	    "the lease is: somebody else may work on its outputs, nothing is "
	    "reported");
	wait_again(task, BUSY_MS, task->runner->round);
}

/* 1: reported; 0: the lease is lost; -1: Redis does not answer. */
static int
report(struct task *task, struct error *err)
{
	const struct job_store *store = &task->runner->store;
	const struct job_end end = { &task->look, task->transactions,
		&task->lease, task->said };
	struct error ignored;
	int rc;

	if (task->state != JOB_SUCCEEDED)
		return lease_note(store, &task->lease, task->said, true, err);
	rc = job_look_commit(&task->brief.ref, &end, err);
	if (rc < 0 && err->kind == ERROR_INPUT) {
		/* What is stored of an output can't be read, nor written. */
		judge(task, JOB_FAILED,
		    text_copy(task->arena, text_from(err->message)));
		return lease_note(store, &task->lease, task->said, true, err);
	}
	if (rc == 1 && reads_as_planned(task)) {
		note_made(task, task->transactions);
		/* One that is lost costs that it may be made once more. */
		lease_note_made(store, &task->lease,
		    list_transactions(task, task->transactions), &ignored);
	}
	if (rc == 1)
		lease_drop(store, &task->lease, &ignored);
	return rc;
}

static bool
has_lapsed(const struct task *task)
{
	/* Early enough to have killed the job before the next one begins. */
	return clock_monotonic_ms() - task->lease.asked_ms >=
	    LEASE_MS - MARGIN_MS;
}

/* Redis has just not answered another task: 256 that wait would be minutes. */
static bool
is_away(const struct task *task)
{
	return clock_monotonic_ms() < task->runner->away_ms;
}

static void
keep_lease(struct task *task, struct error *err)
{
	int rc = 1;

	if (task->doom == DOOM_LOST)
		return;
	if (clock_monotonic_ms() - task->lease.asked_ms >= KEEP_MS &&
	    !is_away(task))
		rc = lease_keep(&task->runner->store, &task->lease, err);
	if (rc == 2) {
		task->build->over = true;
		task_end(task, DOOM_CANCELED);
	}
	if (rc == 0 || has_lapsed(task)) {
		task->doom = DOOM_NONE;
		task_end(task, DOOM_LOST);
	}
}

static bool
report_or_wait(struct task *task, struct error *err)
{
	int rc = -1;

	if (task->doom == DOOM_LOST)
		rc = 0;
	else if (!is_away(task))
		rc = report(task, err);
	if (rc < 0 && !has_lapsed(task))
		return false;
	if (rc == 1)
		finish_job(task);
	else
		lose_job(task);
	free_task(task);
	return true;
}

bool
task_turn(struct task *task, struct error *err)
{
	if (!task->is_judged && !process_has_ended(task->process)) {
		keep_lease(task, err);
		if (task->until_ms != 0 &&
		    clock_monotonic_ms() >= task->until_ms)
			task_end(task, DOOM_OVERDUE);
		if (task->kill_ms != 0 && clock_monotonic_ms() >= task->kill_ms)
			task_kill(task);
		return false;
	}
	if (!task->is_judged)
		judge_end(task);
	return report_or_wait(task, err);
}

const struct open_build *
task_build(const struct task *task)
{
	return task->build;
}

void
task_end(struct task *task, enum task_doom doom)
{
	if (task->doom != DOOM_NONE || task->is_judged)
		return;
	task->doom = doom;
	task->kill_ms = clock_monotonic_ms() + GRACE_MS;
	/* Whoever has its outputs now must not be disturbed for long. */
	if (task->process != NULL)
		process_signal(
		    task->process, doom == DOOM_LOST ? SIGKILL : SIGTERM);
}

void
task_kill(struct task *task)
{
	if (task->process != NULL)
		process_signal(task->process, SIGKILL);
}
