"""Catalogues for the tests: documents as `schedrun apply` takes them."""

PROJECT = "ri.compass.main.folder.p1"
OTHER_PROJECT = "ri.compass.main.folder.p2"
OWNER = "f05f8da4-b84c-4fca-9c77-8af0b13d11de"
GONE = "11111111-1111-4111-8111-111111111111"
INACTIVE = "22222222-2222-4222-8222-222222222222"
VIEWER = "33333333-3333-4333-8333-333333333333"
STRANGER = "44444444-4444-4444-8444-444444444444"


def dataset(name):
    return f"ri.foundry.main.dataset.{name}"


def transaction(name):
    return f"ri.foundry.main.transaction.{name}"


def schedule_rid(name):
    return f"ri.scheduler.main.schedule.{name}"


def version_rid(name):
    return f"ri.scheduler.main.schedule-version.{name}"


def version(name, targets, owner=OWNER, scope=None, **action):
    return {
        "rid": version_rid(name), "scheduleRid": schedule_rid(name), "createdBy": owner,
        "createdTime": "2026-01-31T09:05:07.042Z",
        "scopeMode": scope or {"type": "project", "projectRids": [PROJECT]},
        "action": {"branchName": "master", "fallbackBranches": [],
                   "target": {"type": "manual", "targetRids": [dataset(t) for t in targets]},
                   **action},
    }


def schedule(name, targets, paused=False, **more):
    return {"rid": schedule_rid(name), "paused": paused,
            "versions": [version(name, targets, **more)]}


def stored(head, built_from=None, project=PROJECT, branch="master", **more):
    """A dataset with one branch; `built_from`: (logic, {input: transaction})."""
    there = {"head": transaction(head) if head else None}
    if built_from:
        logic, inputs = built_from
        there["built"] = {"logic": logic, "inputs": {
            dataset(rid): transaction(t) for rid, t in inputs.items()}}
    return {"project": project, "branches": {branch: there}, **more}


def job_spec(output, inputs, logic="v1", branch="master", **more):
    return {"rid": f"ri.foundry.main.jobspec.{branch}-{output}", "branch": branch,
            "outputs": [dataset(output)], "inputs": [dataset(i) for i in inputs],
            "logic": logic, **more}


def users():
    return {
        OWNER: {"roles": {PROJECT: "editor"}},
        INACTIVE: {"active": False, "roles": {PROJECT: "owner"}},
        VIEWER: {"roles": {PROJECT: "viewer"}},
    }


def many(n, name="s{}".format):
    """`n` schedules of one dataset each, called `name(i)`; every second one is stale."""
    datasets = {dataset("raw"): stored("raw-2")}
    specs, schedules = [], []
    for i in range(n):
        seen = "raw-2" if i % 2 else "raw-1"
        output = f"d-{name(i)}"
        datasets[dataset(output)] = stored(f"{output}-1", ("v1", {"raw": seen}))
        specs.append(job_spec(output, ["raw"]))
        schedules.append(schedule(name(i), [output]))
    return {"projects": {PROJECT: {}}, "users": users(), "datasets": datasets,
            "jobSpecs": specs, "schedules": schedules}


def outcomes():
    """A schedule for each outcome that manual targets can have; see OUTCOMES."""
    datasets = {
        dataset("raw"): stored("raw-2"),
        dataset("stale"): stored("stale-1", ("v1", {"raw": "raw-1"})),
        dataset("fresh"): stored("fresh-1", ("v1", {"raw": "raw-2"})),
        dataset("new"): stored(None),
        dataset("logic"): stored("logic-1", ("v0", {"raw": "raw-2"})),
        dataset("plain"): stored("plain-1"),
        dataset("trashed"): stored("trashed-1", trashed=True),
        dataset("fallback"): {"project": PROJECT, "branches": {
            "master": {"head": transaction("fb-1")}, "develop": {"head": None, "parent": "master"}}},
        dataset("left"): stored("left-1"),
        dataset("right"): stored("right-1"),
        dataset("elsewhere"): stored("elsewhere-1", project=OTHER_PROJECT),
        dataset("reader"): stored("reader-1"),
        dataset("trash-reader"): stored("tr-1"),
        dataset("lost-reader"): stored("lr-1"),
        dataset("branchless"): {"project": PROJECT, "branches": {}},
        dataset("branch-reader"): stored("br-1"),
    }
    specs = [job_spec(name, ["raw"]) for name in ("stale", "fresh", "new", "logic", "elsewhere")]
    specs += [
        job_spec("fallback", ["raw"]),
        job_spec("left", ["right"]), job_spec("right", ["left"]),
        job_spec("trashed", ["raw"]),
        job_spec("reader", ["elsewhere"]),
        job_spec("trash-reader", ["trashed"]),
        job_spec("lost-reader", ["missing"]),
        job_spec("branch-reader", ["branchless"]),
    ]
    user_scope = {"type": "user"}
    schedules = [
        schedule("stale", ["stale"]),
        schedule("fresh", ["fresh"]),
        schedule("forced", ["fresh"], forceBuild=True),
        schedule("new", ["new"]),
        schedule("logic", ["logic"]),
        schedule("paused", ["stale"], paused=True),
        schedule("fallback", ["fallback"], branchName="feature",
                 fallbackBranches=["develop", "master"]),
        schedule("missing-target", ["missing"]),
        schedule("trashed-target", ["trashed"]),
        schedule("no-spec", ["plain"]),
        schedule("cycle", ["left", "right"]),
        schedule("no-targets", []),
        schedule("twice", ["stale"], branchName="master", fallbackBranches=["master"]),
        schedule("owner-gone", ["stale"], owner=GONE, scope=user_scope),
        schedule("owner-inactive", ["stale"], owner=INACTIVE, scope=user_scope),
        schedule("owner-views", ["stale"], owner=VIEWER, scope=user_scope),
        schedule("outside", ["elsewhere"]),
        schedule("reads-outside", ["reader"]),
        schedule("reads-trash", ["trash-reader"]),
        schedule("reads-missing", ["lost-reader"]),
        schedule("reads-nothing", ["branch-reader"]),
    ]
    return {"projects": {PROJECT: {}, OTHER_PROJECT: {}}, "users": users(),
            "datasets": datasets, "jobSpecs": specs, "schedules": schedules}


STALE_JOB = dataset("stale")

# (schedule, request's extra fields) -> type, cause, error name, description
OUTCOMES = [
    ("stale", {}, "submitted", "stale", None, None),
    ("fresh", {}, "ignored", "upToDate", None, None),
    ("forced", {}, "submitted", "stale", None, None),
    ("new", {}, "submitted", "stale", None, None),
    ("logic", {}, "submitted", "stale", None, None),
    ("fallback", {}, "submitted", "stale", None, None),
    ("paused", {}, "ignored", "paused", None, None),
    ("paused", {"createdBy": OWNER}, "submitted", "stale", None, None),
    ("unknown", {}, "error", "scheduleNotFound", "TargetResolutionFailure",
     f"Schedule {schedule_rid('unknown')} does not exist."),
    ("stale", {"scheduleVersionRid": version_rid("never")}, "error", "versionNotFound",
     "TargetResolutionFailure",
     f"Version {version_rid('never')} of schedule {schedule_rid('stale')} does not exist."),
    ("stale", {"scheduleVersionRid": version_rid("fresh")}, "error", "wrongSchedule", "Internal",
     f"The run service planned with a version of schedule {schedule_rid('fresh')} "
     f"for a request for schedule {schedule_rid('stale')}."),
    ("stale", {"createdBy": STRANGER}, "error", "requesterUnknown", "PermissionDenied",
     f"User {STRANGER}, who requested this run, is not known."),
    ("stale", {"createdBy": INACTIVE}, "error", "requesterInactive", "PermissionDenied",
     f"User {INACTIVE}, who requested this run, is deactivated."),
    ("stale", {"createdBy": VIEWER}, "error", "requesterRole", "PermissionDenied",
     f"User {VIEWER}, who requested this run, lacks the editor role on the projects of: "
     f"{dataset('stale')}."),
    ("owner-gone", {}, "error", "ownerUnknown", "ScheduleOwnerNotFound",
     f"User {GONE}, who owns this user-scoped schedule, does not exist. "
     "Save the schedule as an active user or scope it to projects."),
    ("owner-inactive", {}, "error", "ownerInactive", "ScheduleOwnerNotFound",
     f"User {INACTIVE}, who owns this user-scoped schedule, is deactivated. "
     "Save the schedule as an active user or scope it to projects."),
    ("no-targets", {}, "error", "noTargets", "TargetResolutionFailure",
     "The schedule names no targets."),
    ("twice", {}, "error", "duplicateBranch", "TargetResolutionFailure",
     "Branches named more than once among the branch and its fallbacks: master."),
    ("missing-target", {}, "error", "datasetNotFound", "TargetResolutionFailure",
     f"Datasets named by the schedule that do not exist: {dataset('missing')}."),
    ("trashed-target", {}, "error", "datasetTrashed", "TargetResolutionFailure",
     f"Datasets named by the schedule that are in the trash: {dataset('trashed')}. "
     "Restore them or remove them from the schedule."),
    ("no-spec", {}, "error", "noJobSpec", "JobSpecNotFound",
     f"Targets without a job spec on master: {dataset('plain')}."),
    ("cycle", {}, "error", "cycle", "CyclicDependency",
     f"2 job specs form a cycle: {dataset('left')} reads {dataset('right')} "
     f"reads {dataset('left')}."),
    ("owner-views", {}, "error", "buildDeniedUser", "PermissionDenied",
     f"User {VIEWER}, who owns this schedule, may not build: {dataset('stale')}."),
    ("outside", {}, "error", "buildDeniedProject", "PermissionDenied",
     f"Outputs outside the projects that this schedule may build in: {dataset('elsewhere')}."),
    ("reads-outside", {}, "error", "readDeniedProject", "PermissionDenied",
     "Inputs neither in the projects of this schedule nor referenced by them: "
     f"{dataset('elsewhere')}."),
    ("reads-trash", {}, "error", "inputTrashed", "TargetResolutionFailure",
     f"Job inputs that are in the trash: {dataset('trashed')}. "
     "Restore them or change the jobs that read them."),
    ("reads-missing", {}, "error", "inputNotFound", "TargetResolutionFailure",
     f"Job inputs that do not exist: {dataset('missing')}."),
    ("reads-nothing", {}, "error", "inputNoBranch", "TargetResolutionFailure",
     f"Job inputs without a branch to read: {dataset('branchless')}."),
]
