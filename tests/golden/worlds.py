"""Random worlds, versions and requests, from tidy ones to spoilt ones.

A world is first made so that plans get far (everything exists, everybody may,
built records fit what is read), then some kinds of trouble are let in, each with
its own chance.  So every phase decides some of the worlds.
"""

import copy
import random

import documents
import model

FOLDER = "ri.compass.main.folder."
DATASET = "ri.foundry.main.dataset."
TRANSACTION = "ri.foundry.main.transaction."
BRANCHES = ["master", "develop", "feature", "fix/1", "Ünïcode", "a@b", "{list}"]
USERS = ["ann", "bob", "f05f8da4-b84c-4fca-9c77-8af0b13d11de"]
# Byte order differs from natural, numeric and case-blind order.
STYLES = ["{}", "d{}", "{:03}", "A{}", "a-{}", "a.{}", "a_{}", "Z.{:x}"]


class Maker:
    def __init__(self, seed, most=2000):
        self.random = random.Random(seed)
        r = self.random
        self.n = max(1, int(most ** r.random() ** r.choice([1, 1.5, 2])))
        self.trouble = {
            kind: r.random() < 0.12
            for kind in (
                "cycles missing trashed rights denied pins conflicts limits"
                " ancestry stale_logic requester owner shape gaps head scope"
                " unbuilt never ignored_outputs keys noread"
            ).split()
        }
        if r.random() < 0.25:
            self.trouble = {kind: False for kind in self.trouble}
        self.clean = r.random() < 0.5
        self.serial = 0

    def chance(self, kind, probability=0.05):
        return self.trouble[kind] and self.random.random() < probability

    def transaction(self):
        self.serial += 1
        return f"{TRANSACTION}t{self.serial}"

    def names(self):
        r = self.random
        styles = r.sample(STYLES, r.randint(1, 3))
        return [
            DATASET + styles[i % len(styles)].format(i) for i in range(self.n)
        ]

    def branch_line(self, tops):
        """Branches of a dataset, each made off the one before."""
        r = self.random
        line = list(self.chain)
        if self.chance("ancestry", 0.3):
            r.shuffle(line)
        if r.random() < 0.2:
            line.insert(r.randrange(len(line) + 1), "other")
        kept = [b for b in line if r.random() < tops] or line[-1:]
        if self.chance("gaps", 0.2):
            kept = r.sample(kept, r.randrange(len(kept)))
        branches = {}
        for i, name in enumerate(kept):
            parent = kept[i + 1] if i + 1 < len(kept) else None
            if r.random() < 0.1:
                parent = r.choice(["gone", None])
            branches[name] = {"head": self.transaction()}
            if parent is not None:
                branches[name]["parent"] = parent
            if r.random() < 0.05:
                branches[name]["head"] = None
        for name in ("stable", "develop"):
            if r.random() < 0.1 and name not in branches:
                branches[name] = {"head": self.transaction()}
        return branches

    def make_chain(self):
        r = self.random
        chain = r.sample(BRANCHES, r.choice([1, 1, 1, 2, 2, 3, 4]))
        self.chain = chain

    def make_datasets(self):
        r = self.random
        self.folders = [FOLDER + f"p{i}" for i in range(r.choice([1, 2, 4]))]
        tops = r.choice([1, 0.9, 0.5])
        self.datasets = {}
        self.rids = self.names()
        for name in self.rids:
            if self.chance("missing", 0.03):
                continue
            dataset = {"project": r.choice(self.folders)}
            branches = self.branch_line(tops)
            if branches or r.random() < 0.5:
                dataset["branches"] = branches
            if self.chance("trashed", 0.03):
                dataset["trashed"] = True
            elif r.random() < 0.1:
                dataset["trashed"] = False
            self.datasets[name] = dataset

    def make_inputs(self, lowest, count):
        """Inputs for a job; `lowest`: read only what comes before it."""
        r = self.random
        inputs = []
        for _ in range(count):
            top = self.n if self.chance("cycles", 0.2) else lowest
            if top == 0:
                break
            near = r.random() < 0.6
            at = max(0, top - 1 - int(r.expovariate(0.3))) if near else (
                r.randrange(top)
            )
            name = self.rids[at]
            kind = r.random()
            if kind < 0.03 or self.chance("pins", 0.3):
                branch = r.choice(self.chain[:1] + self.chain + ["stable"])
                have = self.datasets.get(name, {}).get("branches", {})
                if branch not in have and have and not self.chance("noread"):
                    branch = r.choice(sorted(have))
                inputs.append({"rid": name, "branch": branch})
            else:
                inputs.append(name)
            if r.random() < 0.03:
                inputs.append(inputs[-1])
        r.shuffle(inputs)
        return inputs

    def make_specs(self):
        r = self.random
        self.specs = []
        taken = set()
        fan = r.choice([1, 2, 3])
        density = r.choice([0.6, 0.9, 1])
        order = list(range(self.n))
        i = 0
        while i < self.n:
            width = r.choice([1, 1, 1, 2, 3])
            outputs = [self.rids[k] for k in order[i : i + width]]
            first = i
            i += width
            if r.random() > density:
                continue
            branches = [r.choice(self.chain[-2:])]
            if r.random() < 0.15:
                branches = r.sample(self.chain, min(2, len(self.chain)))
            for branch in branches:
                mine = list(outputs)
                if self.chance("conflicts", 0.2):
                    mine.append(r.choice(self.rids))
                mine = [o for o in dict.fromkeys(mine)
                        if (o, branch) not in taken]
                if not mine:
                    continue
                r.shuffle(mine)
                taken.update((o, branch) for o in mine)
                spec = {
                    "rid": f"ri.foundry.main.jobspec.{branch_name(branch)}-{i}",
                    "branch": branch,
                    "outputs": mine,
                    "inputs": self.make_inputs(first, r.randint(0, fan)),
                    "logic": "v" + str(r.randint(1, 2)),
                }
                kind = r.random()
                if kind < 0.1 and (self.trouble["never"] or kind < 0.01):
                    spec["staleness"] = "never"
                elif kind < 0.13:
                    spec["staleness"] = "always"
                elif kind < 0.2:
                    spec["staleness"] = "inputs"
                self.specs.append(spec)
        r.shuffle(self.specs)

    def read_now(self, item):
        name = item if isinstance(item, str) else item["rid"]
        pinned = None if isinstance(item, str) else item["branch"]
        branches = self.datasets.get(name, {}).get("branches", {})
        for branch in self.chain if pinned is None else [pinned]:
            if branch in branches:
                return branches[branch]["head"]
        return None

    def make_built(self):
        """Records of the last builds; mostly what would be read now."""
        r = self.random
        for spec in self.specs:
            for output in spec["outputs"]:
                branch = self.chain[0]
                if r.random() < 0.05:
                    branch = spec["branch"]
                have = self.datasets.get(output, {}).get("branches", {})
                if branch not in have or self.chance("unbuilt", 0.2):
                    continue
                if not self.clean and r.random() < 0.1:
                    continue
                inputs = {}
                for item in spec["inputs"]:
                    key = item if isinstance(item, str) else (
                        f"{item['rid']}@{item['branch']}"
                    )
                    now = self.read_now(item)
                    inputs[key] = now
                    if not self.clean and r.random() < 0.05:
                        inputs[key] = r.choice([None, self.transaction()])
                    if self.chance("keys", 0.2):
                        del inputs[key]
                if self.chance("keys", 0.2):
                    other = r.choice(self.rids)
                    inputs[r.choice([other, other + "@stable"])] = (
                        self.transaction()
                    )
                logic = spec["logic"]
                if self.chance("stale_logic", 0.1):
                    logic = "v0"
                have[branch]["built"] = {"logic": logic, "inputs": inputs}

    def make_rights(self):
        r = self.random
        roles = ["editor", "owner"]
        self.users = {}
        for user in USERS:
            if self.chance("owner", 0.3) or self.chance("requester", 0.2):
                continue
            record = {"roles": {}}
            for folder in self.folders:
                role = r.choice(roles)
                if self.chance("rights", 0.3):
                    role = r.choice(["viewer", "viewer", None])
                if self.chance("denied", 0.3):
                    role = None
                if role is not None:
                    record["roles"][folder] = role
            if self.chance("owner", 0.3) or self.chance("requester", 0.2):
                record["active"] = False
            self.users[user] = record
        self.projects = {}
        for folder in self.folders:
            if r.random() < 0.5:
                few = r.randint(0, min(self.n, 3))
                many = self.n if self.trouble["scope"] else few
                count = r.choice([few, many])
                self.projects[folder] = {
                    "references": r.sample(self.rids, count)
                }

    def make_target(self):
        r = self.random
        kind = r.choice(["manual", "upstream", "upstream", "connecting"])
        outputs = sorted({o for s in self.specs for o in s["outputs"]})
        built = [o for o in outputs if o in self.datasets] or self.rids
        if self.chance("missing", 0.1) or self.chance("shape", 0.1):
            built = self.rids
        last = built[-max(1, len(built) // 4) :]
        pool = r.choice([built, last])
        count = min(len(pool), r.choice([1, 1, 2, 3, 10]))
        target = {"type": kind, "targetRids": r.sample(pool, count)}
        if r.random() < 0.1:
            target["targetRids"] += target["targetRids"][:1]
        if self.chance("shape", 0.1):
            target["targetRids"] = []
        targets = set(target["targetRids"])
        if kind != "manual" and r.random() < 0.5:
            some = r.sample(self.rids, min(self.n, r.choice([1, 2, 5])))
            if not self.trouble["ignored_outputs"]:
                some = [d for d in some if d not in targets]
            if r.random() < 0.2:
                some.append(DATASET + "nowhere")
            target["ignoredRids"] = some
        if kind == "connecting":
            some = [d for d in self.rids if d in self.datasets] or self.rids
            target["inputRids"] = r.sample(
                some, min(len(some), r.choice([1, 2, 3, 20]))
            )
            if self.chance("shape", 0.1):
                target["inputRids"] = []
        return target

    def make_version(self):
        r = self.random
        owner = r.choice(USERS)
        scope = {"type": "user"}
        if r.random() < 0.6:
            count = len(self.folders)
            if self.trouble["scope"]:
                count = r.randint(0, count)
            scope = {
                "type": "project",
                "projectRids": r.sample(self.folders, count),
            }
            if r.random() < 0.1:
                scope["projectRids"] += scope["projectRids"][:1]
        action = {"branchName": self.chain[0], "target": self.make_target()}
        if len(self.chain) > 1 or r.random() < 0.5:
            action["fallbackBranches"] = self.chain[1:]
        if self.chance("shape", 0.1):
            action["fallbackBranches"] = self.chain + self.chain[:1]
        if self.chance("shape", 0.05):
            action["fallbackBranches"] = [f"b{i}" for i in range(17)]
        for flag in ("abortOnFailure", "notificationsEnabled"):
            if r.random() < 0.5:
                action[flag] = r.random() < 0.5
        if r.random() < 0.15:
            action["forceBuild"] = r.random() < 0.8
        if r.random() < 0.3:
            action["retryCount"] = r.randint(0, 5)
        if r.random() < 0.3:
            action["retryBackoffDuration"] = r.choice(
                [None, {"unit": r.choice(model.UNITS), "value": r.randint(0, 99)}]
            )
        version = {
            "rid": "ri.scheduler.main.schedule-version.v1",
            "scheduleRid": "ri.scheduler.main.schedule.s1",
            "createdBy": owner,
            "scopeMode": scope,
            "action": action,
        }
        if r.random() < 0.03:
            version["paused"] = True
        if self.chance("shape", 0.1):
            version["deleted"] = True
        if r.random() < 0.1:
            version["trigger"] = {"anything": [1.5, None]}
            version["displayName"] = 7
            version["createdTime"] = False
        return version

    def make_request(self):
        r = self.random
        request = {
            "requestId": r.choice(["r-1", "Ω", 'quo"te\\', "x" * 200]),
            "scheduleRid": "ri.scheduler.main.schedule.s1",
            "createdTime": r.choice(
                ["2024-09-25T17:29:35.974Z", "2025-01-01T00:00:00Z",
                 "2025-12-31T23:59:59.123456789Z"]
            ),
        }
        if r.random() < 0.3:
            request["createdBy"] = r.choice(USERS)
            if self.chance("requester", 0.2):
                request["createdBy"] = "nobody"
        elif r.random() < 0.1:
            request["createdBy"] = None
        if r.random() < 0.2:
            request["scheduleVersionRid"] = "ri.scheduler.main.schedule-version.v1"
        if self.chance("shape", 0.1):
            request["scheduleVersionRid"] = r.choice(
                [None, "ri.scheduler.main.schedule-version.v2"]
            )
        if self.chance("shape", 0.05):
            request["scheduleRid"] = "ri.scheduler.main.schedule.s2"
        return request

    def make(self):
        r = self.random
        self.make_chain()
        self.make_datasets()
        self.make_specs()
        self.make_built()
        self.make_rights()
        world = {
            "datasets": self.datasets,
            "jobSpecs": self.specs,
            "users": self.users,
            "projects": self.projects,
        }
        if self.trouble["limits"] or r.random() < 0.1:
            world["limits"] = {
                "maxJobs": r.choice([200000, 1000, 10, 3, 1, 0]),
                "maxInputs": r.choice([2000000, 1000, 10, 3, 0]),
                "maxRetries": r.randint(0, 3),
            }
            for name in list(world["limits"]):
                if r.random() < 0.4:
                    del world["limits"][name]
        version = self.make_version()
        request = self.make_request()
        if self.chance("shape", 0.03):
            version = None
        return {"world": world, "version": version, "request": request}


def branch_name(branch):
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in branch)


SPOILT_SHARE = 0.15

SPOILT = [
    None, True, 0, -1, 2147483648, 1.5, "", "x" * 201, "ri.a..b.c", "a\x7fb",
    "a\tb", [], {}, [[]], {"rid": "x"}, "ri.Foundry.main.dataset.x",
    "2024-13-01", "viewer", "master", "é" * 101, "x" + "é" * 150, "a\0b",
    10**20, 2147483647, "2023-02-29T00:00:00Z", "ri.a.b.c.d@e", [None],
]


def places(node, path=()):
    yield path
    if isinstance(node, dict):
        for key, value in node.items():
            yield from places(value, path + (key,))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from places(value, path + (i,))


def spoil(case, seed):
    """One place of a document replaced, removed, doubled or added to."""
    r = random.Random(seed)
    case = copy.deepcopy(case)
    paths = [p for p in places(case) if len(p) > 1]
    if r.random() < 0.5:  # the few shallow places as often as the many deep
        depth = r.choice(sorted({len(p) for p in paths}))
        paths = [p for p in paths if len(p) == depth]
    path = r.choice(paths)
    node = case
    for step in path[:-1]:
        node = node[step]
    action = r.randrange(4)
    if action == 0:
        node[path[-1]] = r.choice(SPOILT)
    elif action == 1:
        del node[path[-1]]
    elif isinstance(node, dict) and action == 2:
        node[r.choice(["extra", "ri.a..b.c", "head", ""])] = r.choice(SPOILT)
    elif isinstance(node, list):
        node.append(r.choice(SPOILT + node))
    else:
        node[path[-1]] = r.choice(SPOILT)
    return case


def make_line(seed, most=2000):
    """One line of `schedrun plan --jsonl`."""
    case = Maker(seed, most).make()
    r = random.Random(seed + 1)
    kind = r.random()
    if kind < SPOILT_SHARE:
        case = spoil(case, seed + 2)
    line = documents.canonical(case)
    if kind > 1 - SPOILT_SHARE / 15:
        at = r.randrange(len(line))
        line = line[:at] + r.choice(['"', "{", ",", "\\", "e0"]) + line[at:]
        line = line.replace("\n", " ")
    return line
