"""The semantics of a schedule run, as plainly as it can be said.

Written from the sentences of docs/semantics.md, not from the planner's code: sets and loops,
no thought of speed.  What differs between the two is a bug in one of them.
"""

import datetime
import re
import uuid

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "schedrun")
NUMBER_MAX = 2147483647
RID = re.compile(
    r"ri\.[a-z][a-z0-9-]*\.([a-z0-9][a-z0-9-]*)?\.[a-z][a-z0-9-]*"
    r"\.[A-Za-z0-9._-]+\Z"
)
TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z\Z", re.ASCII
)
UNITS = (
    "MILLISECONDS SECONDS MINUTES HOURS DAYS WEEKS MONTHS YEARS".split()
)


class Invalid(Exception):
    """A malformed document: it has no outcome."""


class Decided(Exception):
    """A phase has decided; carries result and why."""

    def __init__(self, result, why):
        super().__init__(why["cause"])
        self.result = result
        self.why = why


def by_bytes(text):
    return text.encode()


def ascending(texts):
    return sorted(texts, key=by_bytes)


def listing(texts):
    texts = ascending(set(texts))
    return {"count": len(texts), "first": texts[:20]}


def described(texts):
    texts = ascending(set(texts))
    if len(texts) <= 5:
        return ", ".join(texts)
    return f"{', '.join(texts[:5])} and {len(texts) - 5} more"


# --- documents -------------------------------------------------------------


def check(condition, place, what):
    if not condition:
        raise Invalid(f"{place}: {what}")


def keys(node, place, required, optional=""):
    check(isinstance(node, dict), place, "not an object")
    required, optional = required.split(), optional.split()
    for key in required:
        check(key in node, place, f"lacks {key}")
    for key in node:
        check(key in required or key in optional, place, f"unknown {key}")


def string(node, place, most=200):
    check(isinstance(node, str), place, "not a string")
    check(0 < len(node.encode()) <= most, place, "size")
    check(
        not any(ord(c) < 0x20 or ord(c) == 0x7F for c in node),
        place,
        "control character",
    )
    return node


def rid(node, place):
    check(RID.match(string(node, place)), place, "not a RID")
    return node


def boolean(node, place):
    check(isinstance(node, bool), place, "not a boolean")
    return node


def number(node, place):
    check(type(node) is int and 0 <= node <= NUMBER_MAX, place, "not a number")
    return node


def array(node, place):
    check(isinstance(node, list), place, "not a list")
    return node


def mapping(node, place):
    check(isinstance(node, dict), place, "not an object")
    return node


def one_of(node, place, values):
    check(isinstance(node, str) and node in values, place, "not one of them")
    return node


def read_built(node, place):
    if node is None:
        return None
    keys(node, place, "logic inputs")
    string(node["logic"], place)
    for key, transaction in mapping(node["inputs"], place).items():
        string(key, place, 401)
        name, at, branch = key.partition("@")
        rid(name, place)
        if at:
            string(branch, place)
        if transaction is not None:
            rid(transaction, place)
    return node


def read_branches(node, place):
    branches = {}
    for name, branch in mapping(node, place).items():
        string(name, place)
        keys(branch, place, "", "head parent built")
        head, parent = branch.get("head"), branch.get("parent")
        if head is not None:
            rid(head, place)
        if parent is not None:
            string(parent, place)
        built = read_built(branch.get("built"), place)
        branches[name] = {"head": head, "parent": parent, "built": built}
    for name in branches:
        seen = set()
        while name in branches:
            check(name not in seen, place, "parents in a loop")
            seen.add(name)
            name = branches[name]["parent"]
    return branches


def read_spec(node, place):
    keys(node, place, "rid branch outputs inputs logic", "staleness")
    rid(node["rid"], place)
    string(node["branch"], place)
    string(node["logic"], place)
    outputs = [rid(o, place) for o in array(node["outputs"], place)]
    check(outputs, place, "no outputs")
    check(len(set(outputs)) == len(outputs), place, "an output twice")
    inputs = set()
    for item in array(node["inputs"], place):
        if isinstance(item, str):
            inputs.add((rid(item, place), None))
        else:
            keys(item, place, "rid branch")
            inputs.add((rid(item["rid"], place), string(item["branch"], place)))
    return {
        "rid": node["rid"],
        "branch": node["branch"],
        "logic": node["logic"],
        "staleness": one_of(
            node.get("staleness", "inputs"),
            place,
            ("inputs", "always", "never"),
        ),
        "outputs": outputs,
        "inputs": inputs,
    }


def read_world(node):
    keys(node, "world", "", "projects users datasets jobSpecs limits")
    world = {"references": {}, "users": {}, "datasets": {}, "specs": {}}
    for name, project in mapping(node.get("projects", {}), "projects").items():
        rid(name, "projects")
        keys(project, "projects", "", "references")
        world["references"][name] = {
            rid(r, "projects")
            for r in array(project.get("references", []), "projects")
        }
    for name, user in mapping(node.get("users", {}), "users").items():
        string(name, "users")
        keys(user, "users", "", "active roles")
        roles = mapping(user.get("roles", {}), "users")
        for project, role in roles.items():
            rid(project, "users")
            one_of(role, "users", ("viewer", "editor", "owner"))
        active = boolean(user.get("active", True), "users")
        world["users"][name] = {"active": active, "roles": roles}
    datasets = mapping(node.get("datasets", {}), "datasets")
    for name, dataset in datasets.items():
        rid(name, "datasets")
        keys(dataset, "datasets", "project", "trashed branches")
        world["datasets"][name] = {
            "project": rid(dataset["project"], "datasets"),
            "trashed": boolean(dataset.get("trashed", False), "datasets"),
            "branches": read_branches(dataset.get("branches", {}), name),
        }
    for spec in array(node.get("jobSpecs", []), "jobSpecs"):
        spec = read_spec(spec, "jobSpecs")
        for output in spec["outputs"]:
            place = (output, spec["branch"])
            check(place not in world["specs"], "jobSpecs", "two for one")
            world["specs"][place] = spec
    limits = node.get("limits", {})
    keys(limits, "limits", "", "maxJobs maxInputs maxRetries")
    for name, value in limits.items():
        number(value, name)
    world["maxJobs"] = min(100000, limits.get("maxJobs", 100000))
    world["maxInputs"] = min(1000000, limits.get("maxInputs", 1000000))
    world["maxRetries"] = limits.get("maxRetries", NUMBER_MAX)
    return world


def read_scope(node):
    keys(mapping(node, "scopeMode"), "scopeMode", "type", "projectRids")
    if one_of(node["type"], "scopeMode", ("user", "project")) == "user":
        keys(node, "scopeMode", "type")
        return {"type": "user", "projects": set()}
    keys(node, "scopeMode", "type projectRids")
    return {
        "type": "project",
        "projects": {
            rid(p, "scopeMode")
            for p in array(node["projectRids"], "scopeMode")
        },
    }


def read_target(node):
    lists = {
        "manual": "",
        "upstream": "ignoredRids",
        "connecting": "inputRids ignoredRids",
    }
    mapping(node, "target")
    check("type" in node, "target", "lacks type")
    kind = one_of(node["type"], "target", tuple(lists))
    keys(node, "target", "type targetRids", lists[kind])
    target = {"type": kind}
    for name in ("targetRids", "inputRids", "ignoredRids"):
        target[name] = [
            rid(r, "target") for r in array(node.get(name, []), "target")
        ]
    return target


def read_backoff(node):
    if node is None:
        return None
    keys(node, "retryBackoffDuration", "unit value")
    one_of(node["unit"], "unit", UNITS)
    number(node["value"], "value")
    return node


def read_version(node):
    if node is None:
        return None
    keys(
        node,
        "version",
        "rid scheduleRid createdBy scopeMode action",
        "createdTime trigger displayName description paused deleted",
    )
    action = node["action"]
    keys(
        action,
        "action",
        "branchName target",
        "fallbackBranches forceBuild abortOnFailure retryCount"
        " retryBackoffDuration notificationsEnabled",
    )
    fallbacks = array(action.get("fallbackBranches", []), "fallbacks")
    version = {
        "rid": rid(node["rid"], "version"),
        "scheduleRid": rid(node["scheduleRid"], "version"),
        "createdBy": string(node["createdBy"], "version"),
        "paused": boolean(node.get("paused", False), "version"),
        "deleted": boolean(node.get("deleted", False), "version"),
        "scope": read_scope(node["scopeMode"]),
        "target": read_target(action["target"]),
        "branch": string(action["branchName"], "action"),
        "fallbacks": [string(b, "action") for b in fallbacks],
        "retries": number(action.get("retryCount", 0), "action"),
        "backoff": read_backoff(action.get("retryBackoffDuration")),
    }
    for flag in ("forceBuild", "abortOnFailure", "notificationsEnabled"):
        version[flag] = boolean(action.get(flag, False), "action")
    return version


def time(node, place):
    matched = TIME.match(string(node, place))
    check(matched, place, "not a time")
    try:
        datetime.datetime.fromisoformat(matched[1])
    except ValueError:
        check(False, place, "no day of the calendar, or no time of a day")
    return node


def read_request(node):
    keys(
        node,
        "request",
        "requestId scheduleRid createdTime",
        "scheduleVersionRid createdBy",
    )
    string(node["requestId"], "request")
    rid(node["scheduleRid"], "request")
    time(node["createdTime"], "request")
    if node.get("scheduleVersionRid") is not None:
        rid(node["scheduleVersionRid"], "request")
    if node.get("createdBy") is not None:
        string(node["createdBy"], "request")
    return node


# --- the plan --------------------------------------------------------------


def key_of(job):
    return ascending(job["outputs"])[0]


def input_key(item):
    name, branch = item
    return name if branch is None else f"{name}@{branch}"


def uuid5(*parts):
    return str(uuid.uuid5(NAMESPACE, "\n".join(parts)))


def error(phase, cause, name, description, **more):
    raise Decided(
        {"type": "error", "errorName": name, "description": description},
        {"phase": phase, "cause": cause, **more},
    )


def refuse(phase, cause, name, template, offenders):
    """An error, if there are offenders; they go where the template has a NUL,
    which no name can have."""
    if offenders:
        error(
            phase,
            cause,
            name,
            template.replace("\0", described(offenders)),
            offenders=listing(offenders),
        )


class Plan:
    def __init__(self, world, version, request):
        self.world = world
        self.version = version
        self.request = request
        if version is not None:
            self.chain = [version["branch"]] + version["fallbacks"]
            self.targets = set(version["target"]["targetRids"])
            self.inputs = set(version["target"]["inputRids"])
            self.ignored = set(version["target"]["ignoredRids"])
            self.kind = version["target"]["type"]

    # docs/semantics.md, section 1

    def spec(self, dataset):
        for branch in self.chain:
            if (dataset, branch) in self.world["specs"]:
                return self.world["specs"][dataset, branch]
        return None

    def branches(self, dataset):
        return self.world["datasets"].get(dataset, {"branches": {}})["branches"]

    def branch_read(self, item):
        dataset, pinned = item
        for branch in self.chain if pinned is None else [pinned]:
            if branch in self.branches(dataset):
                return branch
        return None

    def on_branch(self, job):
        return [
            (name, pinned)
            for name, pinned in job["inputs"]
            if pinned is None or pinned == self.chain[0]
        ]

    def role(self, user, project):
        user = self.world["users"].get(user, {"roles": {}})
        return user["roles"].get(project)

    def may_build_dataset(self, name):
        dataset = self.world["datasets"].get(name)
        scope = self.version["scope"]
        if dataset is None:
            return True
        if scope["type"] == "project":
            return dataset["project"] in scope["projects"]
        role = self.role(self.version["createdBy"], dataset["project"])
        return role in ("editor", "owner")

    def may_build(self, job):
        return all(self.may_build_dataset(o) for o in job["outputs"])

    def may_read(self, name):
        dataset = self.world["datasets"].get(name)
        scope = self.version["scope"]
        if dataset is None:
            return True
        if scope["type"] == "project":
            return dataset["project"] in scope["projects"] or any(
                name in self.world["references"].get(p, ())
                for p in scope["projects"]
            )
        role = self.role(self.version["createdBy"], dataset["project"])
        return role in ("viewer", "editor", "owner")

    # docs/semantics.md, section 2

    def schedule(self):
        version, request = self.version, self.request
        schedule, pin = request["scheduleRid"], request.get("scheduleVersionRid")
        if version is None and pin is not None:
            error(
                0,
                "versionNotFound",
                "TargetResolutionFailure",
                f"Version {pin} of schedule {schedule} does not exist.",
            )
        if version is None:
            error(
                0,
                "scheduleNotFound",
                "TargetResolutionFailure",
                f"Schedule {schedule} does not exist.",
            )
        if version["scheduleRid"] != schedule:
            error(
                0,
                "wrongSchedule",
                "Internal",
                "The run service planned with a version of schedule "
                f"{version['scheduleRid']} for a request for schedule "
                f"{schedule}.",
            )
        if pin is not None and version["rid"] != pin:
            error(
                0,
                "wrongVersion",
                "Internal",
                f"The run service planned with version {version['rid']} for a"
                f" request that pins version {pin}.",
            )
        if version["deleted"]:
            error(
                0,
                "scheduleDeleted",
                "TargetResolutionFailure",
                f"Schedule {schedule} has been deleted.",
            )

    def paused(self):
        if self.version["paused"] and self.request.get("createdBy") is None:
            raise Decided({"type": "ignored"}, {"phase": 1, "cause": "paused"})

    def requester(self):
        name = self.request.get("createdBy")
        if name is None:
            return
        user = self.world["users"].get(name)
        start = f"User {name}, who requested this run, is "
        if user is None:
            error(2, "requesterUnknown", "PermissionDenied", start + "not known.")
        if not user["active"]:
            error(
                2, "requesterInactive", "PermissionDenied", start + "deactivated."
            )

    def owner(self):
        if self.version["scope"]["type"] != "user":
            return
        name = self.version["createdBy"]
        user = self.world["users"].get(name)
        start = f"User {name}, who owns this user-scoped schedule, "
        end = " Save the schedule as an active user or scope it to projects."
        if user is None:
            error(
                3,
                "ownerUnknown",
                "ScheduleOwnerNotFound",
                start + "does not exist." + end,
            )
        if not user["active"]:
            error(
                3,
                "ownerInactive",
                "ScheduleOwnerNotFound",
                start + "is deactivated." + end,
            )

    def shape(self):
        failure = "TargetResolutionFailure"
        target = self.version["target"]
        fallbacks = self.version["fallbacks"]
        if not self.targets:
            error(4, "noTargets", failure, "The schedule names no targets.")
        if self.kind == "connecting" and not self.inputs:
            error(4, "noInputs", failure, "The connecting build names no inputs.")
        named = sum(
            len(target[k]) for k in ("targetRids", "inputRids", "ignoredRids")
        )
        if named > 10000:
            error(
                4,
                "tooManyNamed",
                failure,
                f"The schedule names {named} datasets, more than the limit of"
                " 10000.",
            )
        if len(fallbacks) > 16:
            error(
                4,
                "tooManyBranches",
                failure,
                f"The schedule names {len(fallbacks)} fallback branches, more"
                " than the limit of 16.",
            )
        refuse(
            4,
            "duplicateBranch",
            failure,
            "Branches named more than once among the branch and its fallbacks:"
            " \0.",
            {b for b in self.chain if self.chain.count(b) > 1},
        )
        refuse(
            4,
            "targetIgnored",
            "IncompatibleTargets",
            "Datasets named both as targets and as ignored: \0.",
            self.targets & self.ignored,
        )

    def named(self):
        failure = "TargetResolutionFailure"
        datasets = self.world["datasets"]
        named = self.targets | self.inputs
        refuse(
            5,
            "datasetNotFound",
            failure,
            "Datasets named by the schedule that do not exist: \0.",
            {d for d in named if d not in datasets},
        )
        refuse(
            5,
            "datasetTrashed",
            failure,
            "Datasets named by the schedule that are in the trash: \0."
            " Restore them or remove them from the schedule.",
            {d for d in named if datasets[d]["trashed"]},
        )
        requester = self.request.get("createdBy")
        if requester is not None:
            refuse(
                5,
                "requesterRole",
                "PermissionDenied",
                f"User {requester}, who requested this run, lacks the editor"
                " role on the projects of: \0.",
                {
                    t
                    for t in self.targets
                    if self.role(requester, datasets[t]["project"])
                    not in ("editor", "owner")
                },
            )
        refuse(
            5,
            "noJobSpec",
            "JobSpecNotFound",
            f"Targets without a job spec on {' -> '.join(self.chain)}: \0.",
            {t for t in self.targets if self.spec(t) is None},
        )

    def walk(self):
        """The jobs reached: a list, each once."""
        reached = []
        found = [self.spec(t) for t in self.targets]
        target_ids = {id(job) for job in found}
        seen = set()
        while found:
            job = found.pop()
            if id(job) in seen:
                continue
            seen.add(id(job))
            if id(job) not in target_ids and not self.may_build(job):
                continue
            reached.append(job)
            if self.kind == "manual":
                continue
            for name, _ in self.on_branch(job):
                producer = self.spec(name)
                if name not in self.ignored and producer is not None:
                    found.append(producer)
        return reached

    def connected(self, reached):
        selected = set()
        grows = True
        while grows:
            grows = False
            for job in reached:
                if id(job) in selected:
                    continue
                if any(
                    name in self.inputs
                    or (
                        name not in self.ignored
                        and id(self.spec(name)) in selected
                    )
                    for name, _ in self.on_branch(job)
                ):
                    selected.add(id(job))
                    grows = True
        return [job for job in reached if id(job) in selected]

    def selection(self):
        failure = "TargetResolutionFailure"
        reached = self.walk()
        most = self.world["maxJobs"]
        if len(reached) > most:
            error(
                6,
                "tooManyJobs",
                failure,
                f"The build reaches more than {most} jobs.",
            )
        most = self.world["maxInputs"]
        if sum(len(job["inputs"]) for job in reached) > most:
            error(
                6,
                "tooManyInputs",
                failure,
                f"The jobs that the build reaches read more than {most} inputs.",
            )
        if self.kind == "connecting":
            reached = self.connected(reached)
        if not reached:
            refuse(
                6,
                "notConnected",
                failure,
                f"No job spec path on branch {self.chain[0]} leads from an input"
                " to any target: \0.",
                self.targets,
            )
        self.selected = sorted(reached, key=lambda job: by_bytes(key_of(job)))
        self.selected_ids = {id(job) for job in self.selected}

    def contradicts_ancestry(self, dataset):
        branches = self.branches(dataset)
        at = self.branch_read((dataset, None))
        met = []
        while at in branches:
            if at in self.chain:
                met.append(self.chain.index(at))
            at = branches[at]["parent"]
        return met != sorted(met)

    def outputs(self):
        return {o for job in self.selected for o in job["outputs"]}

    def compatibility(self):
        refuse(
            7,
            "ignoredOutput",
            "IncompatibleTargets",
            "Ignored datasets that jobs of this build would write: \0.",
            self.outputs() & self.ignored,
        )
        refuse(
            7,
            "conflictingSpecs",
            "IncompatibleTargets",
            "Outputs that job specs of different branches claim: \0."
            " Publish the job specs that write them on one branch.",
            {
                o
                for job in self.selected
                for o in job["outputs"]
                if self.spec(o) is not job
            },
        )
        refuse(
            7,
            "branchAncestry",
            "IncompatibleTargets",
            f"The order {' -> '.join(self.chain)} contradicts the branch"
            " ancestry of outputs: \0.",
            {o for o in self.outputs() if self.contradicts_ancestry(o)},
        )

    def producer(self, item):
        """The selected producer of an on-branch input."""
        name, pinned = item
        if pinned is not None and pinned != self.chain[0]:
            return None
        job = self.spec(name)
        return job if job is not None and id(job) in self.selected_ids else None

    def producers(self, job):
        found = {}
        for item in job["inputs"]:
            producer = self.producer(item)
            if producer is not None:
                found[key_of(producer)] = producer
        return found

    def cycles(self):
        jobs = {key_of(job): job for job in self.selected}
        waits = {key: set(self.producers(job)) for key, job in jobs.items()}
        self.order = []
        readers = {key: [] for key in jobs}
        for key, producers in waits.items():
            for producer in producers:
                readers[producer].append(key)
        ready = [key for key, producers in waits.items() if not producers]
        while ready:
            key = ready.pop()
            self.order.append(jobs[key])
            for reader in readers[key]:
                waits[reader].discard(key)
                if not waits[reader]:
                    ready.append(reader)
        blocked = {key for key, producers in waits.items() if producers}
        if not blocked:
            return
        path = [ascending(blocked)[0]]
        while True:
            at = ascending(set(self.producers(jobs[path[-1]])) & blocked)[0]
            if at in path:
                break
            path.append(at)
        ring = path[path.index(at):]
        least = ring.index(ascending(ring)[0])
        ring = ring[least:] + ring[:least]
        named = ring if len(ring) <= 5 else ring[:5] + ["..."]
        error(
            8,
            "cycle",
            "CyclicDependency",
            f"{len(ring)} job specs form a cycle:"
            f" {' reads '.join(named + ring[:1])}.",
            offenders={"count": len(ring), "first": ring[:20]},
            blocked=len(blocked),
        )

    def read_by_selected(self):
        return {item for job in self.selected for item in job["inputs"]}

    def permissions(self):
        owner = self.version["createdBy"]
        is_user = self.version["scope"]["type"] == "user"
        target_jobs = {id(self.spec(t)) for t in self.targets}
        refuse(
            9,
            "buildDeniedUser" if is_user else "buildDeniedProject",
            "PermissionDenied",
            f"User {owner}, who owns this schedule, may not build: \0."
            if is_user
            else "Outputs outside the projects that this schedule may build in:"
            " \0.",
            {
                o
                for job in self.selected
                if id(job) in target_jobs
                for o in job["outputs"]
                if not self.may_build_dataset(o)
            },
        )
        refuse(
            9,
            "readDeniedUser" if is_user else "readDeniedProject",
            "PermissionDenied",
            f"User {owner}, who owns this schedule, may not read: \0."
            if is_user
            else "Inputs neither in the projects of this schedule nor referenced"
            " by them: \0.",
            {name for name, _ in self.read_by_selected() if not self.may_read(name)},
        )

    def will_make(self, item):
        job = self.producer(item)
        if job is None:
            return False
        return not (
            job["staleness"] == "never"
            and not self.version["forceBuild"]
            and item[1] == self.chain[0]
            and all(
                self.branch_read((o, None)) is not None for o in job["outputs"]
            )
        )

    def datasets(self):
        failure = "TargetResolutionFailure"
        datasets = self.world["datasets"]
        outputs, inputs = self.outputs(), self.read_by_selected()
        refuse(
            10,
            "outputNotFound",
            failure,
            "Job outputs that do not exist: \0.",
            {o for o in outputs if o not in datasets},
        )
        refuse(
            10,
            "outputTrashed",
            failure,
            "Job outputs that are in the trash: \0. Restore or ignore them.",
            {o for o in outputs if datasets[o]["trashed"]},
        )
        refuse(
            10,
            "inputNotFound",
            failure,
            "Job inputs that do not exist: \0.",
            {name for name, _ in inputs if name not in datasets},
        )
        refuse(
            10,
            "inputTrashed",
            failure,
            "Job inputs that are in the trash: \0. Restore them or change the"
            " jobs that read them.",
            {name for name, _ in inputs if datasets[name]["trashed"]},
        )
        refuse(
            10,
            "inputNoBranch",
            failure,
            "Job inputs without a branch to read: \0.",
            {
                input_key(item)
                for item in inputs
                if self.branch_read(item) is None and not self.will_make(item)
            },
        )

    def built(self, output):
        branch = self.branches(output).get(self.chain[0])
        return None if branch is None else branch["built"]

    def changes(self, job, built):
        now, unread = {}, set()
        for item in job["inputs"]:
            branch = self.branch_read(item)
            if branch is None:
                unread.add(input_key(item))
            else:
                now[input_key(item)] = self.branches(item[0])[branch]["head"]
        was = {k: v for k, v in built["inputs"].items() if k not in unread}
        return {
            key
            for key in set(now) | set(was)
            if key not in now or key not in was or now[key] != was[key]
        }

    def reason(self, job, running):
        outputs = ascending(job["outputs"])
        if self.version["forceBuild"]:
            return {"cause": "forced"}
        if job["staleness"] == "never":
            for output in outputs:
                if self.branch_read((output, None)) is None:
                    return {"cause": "neverBuilt", "output": output}
            return None
        for output in outputs:
            if self.built(output) is None:
                return {"cause": "neverBuilt", "output": output}
        for output in outputs:
            if self.built(output)["logic"] != job["logic"]:
                return {
                    "cause": "newLogic",
                    "output": output,
                    "from": self.built(output)["logic"],
                    "to": job["logic"],
                }
        changed = set()
        for output in outputs:
            changed |= self.changes(job, self.built(output))
        if changed:
            return {"cause": "inputsChanged", "inputs": listing(changed)}
        upstream = {
            input_key(item)
            for item in job["inputs"]
            if self.producer(item) is not None
            and key_of(self.producer(item)) in running
        }
        if upstream:
            return {"cause": "upstream", "inputs": listing(upstream)}
        if job["staleness"] == "always":
            return {"cause": "alwaysStale"}
        return None

    def out_of_scope(self):
        if self.kind == "manual":
            return set()
        out = set()
        for job in self.selected:
            for name, _ in self.on_branch(job):
                producer = self.spec(name)
                if (
                    name in self.ignored
                    or producer is None
                    or id(producer) in self.selected_ids
                    or self.may_build(producer)
                ):
                    continue
                if self.kind == "connecting" and not any(
                    n in self.inputs
                    or (n in self.outputs() and n not in self.ignored)
                    for n, _ in self.on_branch(producer)
                ):
                    continue
                out.add(key_of(producer))
        return out

    def staleness(self):
        running = {}
        for job in self.order:
            reason = self.reason(job, running)
            if reason is not None:
                running[key_of(job)] = reason
        self.running = running
        why = {
            "phase": 11,
            "cause": "stale" if running else "upToDate",
            "selected": len(self.selected),
            "running": len(running),
            "upToDate": len(self.selected) - len(running),
            "upToDateTargets": listing(
                t
                for t in self.targets
                if id(self.spec(t)) in self.selected_ids
                and key_of(self.spec(t)) not in running
            ),
            "droppedTargets": listing(
                t
                for t in self.targets
                if id(self.spec(t)) not in self.selected_ids
            ),
            "outOfScope": listing(self.out_of_scope()),
        }
        if not running:
            raise Decided({"type": "ignored"}, why)
        return why

    # docs/semantics.md, section 3

    def build_order(self):
        jobs = {k: j for j in self.selected if (k := key_of(j)) in self.running}
        left = {
            key: {k for k in self.producers(job) if k in self.running}
            for key, job in jobs.items()
        }
        order = []
        placed = set()
        while left:
            key = min((k for k in left if left[k] <= placed), key=by_bytes)
            del left[key]
            placed.add(key)
            order.append(key)
        return order, jobs

    def job(self, job, position, build):
        inputs, depends = [], set()
        for item in sorted(
            job["inputs"],
            key=lambda i: (by_bytes(i[0]), i[1] is not None, by_bytes(i[1] or "")),
        ):
            producer = self.producer(item)
            if producer is not None and key_of(producer) in position:
                at = position[key_of(producer)]
                depends.add(at)
                inputs.append({"rid": item[0], "job": at})
                continue
            branch = self.branch_read(item)
            head = self.branches(item[0])[branch]["head"]
            inputs.append({"rid": item[0], "branch": branch, "transaction": head})
        outputs = []
        for output in ascending(job["outputs"]):
            new = None
            if self.chain[0] not in self.branches(output):
                new = {"parent": self.branch_read((output, None))}
            outputs.append({"rid": output, "newBranch": new})
        key = key_of(job)
        return {
            "jobRid": "ri.foundry.main.job." + uuid5("job", build, key),
            "jobSpecRid": job["rid"],
            "specBranch": job["branch"],
            "logic": job["logic"],
            "outputs": outputs,
            "inputs": inputs,
            "dependsOn": sorted(depends),
            "reason": self.running[key],
        }

    def build(self, build):
        version = self.version
        order, jobs = self.build_order()
        position = {key: i for i, key in enumerate(order)}
        is_user = version["scope"]["type"] == "user"
        notify = version["notificationsEnabled"] and is_user
        return {
            "buildRid": build,
            "branch": version["branch"],
            "fallbackBranches": version["fallbacks"],
            "forceBuild": version["forceBuild"],
            "abortOnFailure": version["abortOnFailure"],
            "retryCount": min(version["retries"], self.world["maxRetries"]),
            "retryBackoffDuration": version["backoff"],
            "runAs": {"type": "user", "userId": version["createdBy"]}
            if is_user
            else {
                "type": "project",
                "projectRids": ascending(version["scope"]["projects"]),
            },
            "notify": version["createdBy"] if notify else None,
            "jobs": [self.job(jobs[key], position, build) for key in order],
        }

    def outcome(self):
        request, version = self.request, self.version
        pin = request.get("scheduleVersionRid")
        run = "ri.scheduler.main.run." + uuid5(
            "run", request["scheduleRid"], request["requestId"]
        )
        outcome = {
            "runRid": run,
            "requestId": request["requestId"],
            "scheduleRid": request["scheduleRid"],
            "scheduleVersionRid": pin if version is None else version["rid"],
            "createdTime": request["createdTime"],
            "createdBy": request.get("createdBy"),
        }
        try:
            self.schedule()
            self.paused()
            self.requester()
            self.owner()
            self.shape()
            self.named()
            self.selection()
            self.compatibility()
            self.cycles()
            self.permissions()
            self.datasets()
            outcome["why"] = self.staleness()
            build = "ri.foundry.main.build." + uuid5("build", run)
            outcome["result"] = {"type": "submitted", "buildRid": build}
            outcome["build"] = self.build(build)
        except Decided as decided:
            outcome["result"] = decided.result
            outcome["why"] = decided.why
        return outcome


def plan(world, version, request):
    return Plan(
        read_world(world), read_version(version), read_request(request)
    ).outcome()
