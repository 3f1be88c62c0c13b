"""What `make bench` asks for.  A mix is a kind of requests (requests.c) and the
catalogue that they are about:
  mix         10,000 schedules of one dataset each, every second one stale; the
              requests are by many users: the headline
  once        the same requests, of as many schedules as there are requests
  repeat      as mix, but nobody's requests: the same questions over and over
  wide        each schedule builds ten jobs, one of a hundred builds a thousand
  connecting  what lies between two layers of a graph that all schedules share
"""

import collections

import catalogues
from catalogues import dataset, job_spec, schedule, stored
from programs import wait_for

NAMES = ("mix", "once", "repeat", "wide", "connecting")
SCHEDULES = 10000
USERS = 1024
IN_SCRIPT = 20000  # entries that one script writes
LAYERS, COLUMNS, BETWEEN = 8, 1000, 4

# Stores entries that were stored of one schedule once more for others.
# KEYS a hash, or what lists' keys begin with; ARGV of which schedules: from, to,
# in steps of; then field and value, where a byte 1 stands for the schedule's name
MULTIPLY = """\
local from, to, step = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local texts, found, n = {}, {}, 0
for k = 4, #ARGV do
  local parts = {}
  for part in (ARGV[k] .. '\1'):gmatch('([^\1]*)\1') do parts[#parts + 1] = part end
  texts[#texts + 1] = parts
end
local function store()
  if n > 0 then redis.call('HSET', KEYS[1], unpack(found, 1, n)) end
  n = 0
end
for i = from, to, step do
  local name = string.format('%08x-0000-4000-8000-%012x', i, i)
  for k = 1, #texts, 2 do
    local field, value = table.concat(texts[k], name), table.concat(texts[k + 1], name)
    if KEYS[2] then redis.call('RPUSH', KEYS[1] .. field, value)
    else
      found[n + 1], found[n + 2], n = field, value, n + 2
      if n >= 1000 then store() end
    end
  end
end
store()
"""


def schedule_name(i):
    return f"{i:08x}-0000-4000-8000-{i:012x}"


class Mix:
    def __init__(self, name, n, schedules):
        self.name, self.n, self.schedules = name, n, schedules
        self.topic = f"requests-{name}"

    # After so many schedules the same come again, by other names.
    period = 2

    def __str__(self):
        return self.name

    def text(self):
        """What the benchmark's programs call it."""
        return f"{self.name}:{self.schedules}"

    def catalogue(self):
        """Its first schedules, as `schedrun apply` takes them."""
        small = catalogues.many(self.period, schedule_name)
        small["users"] |= requesters()
        return small

    def multiply(self, redis):
        """Writes what is stored of the first schedules for all the others too."""
        script = redis.register_script(MULTIPLY)
        redis.config_set("appendonly", "no")
        for (key, i, is_list), entries in self.stored(redis).items():
            step = self.period * max(1, IN_SCRIPT // len(entries) * 2)
            for begin in range(i + self.period, self.schedules, step):
                end = min(begin + step, self.schedules) - 1
                script([key] + ["list"] * is_list, [begin, end, self.period, *entries])
        redis.config_set("appendonly", "yes")
        wait_for("Redis to have it on disk", lambda: not any(
            redis.info("persistence")[f"aof_rewrite_{state}"]
            for state in ("in_progress", "scheduled")), timeout=300, pause=0.1)

    def stored(self, redis):
        """{(key, schedule, whether it begins lists' keys): [field, value, ...]}"""
        found = collections.defaultdict(list)
        names = [(schedule_name(i).encode(), i) for i in range(self.period)]

        def put(key, field, value, is_list=0):
            for name, i in names:
                if name in field:
                    found[key, i, is_list] += [field.replace(name, b"\1"),
                                               value.replace(name, b"\1")]

        generation = redis.get("schedrun:g").decode()
        for key in ("s", "i", "v", "h", f"g{generation}:d", f"g{generation}:j"):
            for field, value in redis.hgetall(f"schedrun:{key}").items():
                put(f"schedrun:{key}", field, value)
        for key in redis.keys("schedrun:w:*"):
            for rid in redis.lrange(key, 0, -1):
                put("schedrun:w:", key.removeprefix(b"schedrun:w:"), rid, 1)
        return found


class Wide(Mix):
    """Jobs k reads jobs 2k + 1 and 2k + 2: a tree; job 0 is the target."""

    period = 200

    def catalogue(self):
        small = super().catalogue() | {"jobSpecs": [], "schedules": []}
        for i in range(self.period):
            self.add_tree(small, i, 1000 if i < 2 else 10)
        return small

    def add_tree(self, small, i, n):
        def name(k):
            return f"d-{schedule_name(i)}-{k:03}"

        seen = "raw-2" if i % 2 else "raw-1"
        for k in range(n):
            reads = [name(j) for j in (2 * k + 1, 2 * k + 2) if j < n] or ["raw"]
            small["datasets"][dataset(name(k))] = stored(
                f"{name(k)}-1", ("v1", {r: seen if r == "raw" else f"{r}-1" for r in reads}))
            small["jobSpecs"].append(job_spec(name(k), reads))
        small["schedules"].append(schedule(schedule_name(i), [], target={
            "type": "upstream", "targetRids": [dataset(name(0))]}))


class Connecting(Mix):
    """Two graphs, a stale one of the even schedules and one that is up to date.
    What is at (layer, column) is built of what is a layer below, in the same
    column and the next one; layer 0 comes from outside."""

    def catalogue(self):
        small = {"projects": {catalogues.PROJECT: {}}, "users": catalogues.users() | requesters(),
                 "datasets": {}, "jobSpecs": [], "schedules": []}
        for graph in range(2):
            for layer in range(LAYERS + 1):
                for column in range(COLUMNS):
                    self.add_node(small, graph, layer, column)
        small["schedules"] = [self.between(i) for i in range(self.schedules)]
        return small

    @staticmethod
    def node(graph, layer, column):
        return f"g{graph}-{layer}-{column % COLUMNS:04}"

    def add_node(self, small, graph, layer, column):
        name = self.node(graph, layer, column)
        if layer == 0:
            small["datasets"][dataset(name)] = stored(f"{name}-2")
            return
        reads = [self.node(graph, layer - 1, column + k) for k in range(2)]
        small["datasets"][dataset(name)] = stored(
            f"{name}-2", ("v1", {r: f"{r}-{graph + 1}" for r in reads}))
        small["jobSpecs"].append(job_spec(name, reads))

    def between(self, i):
        column, layer = i // 2 % COLUMNS, BETWEEN + i // 2 // COLUMNS % (LAYERS + 1 - BETWEEN)
        return schedule(schedule_name(i), [], target={
            "type": "connecting", "targetRids": [dataset(self.node(i % 2, layer, column))],
            "inputRids": [dataset(self.node(i % 2, layer - BETWEEN, column + BETWEEN // 2))]})

    def multiply(self, redis):
        pass  # apply took all


def requesters():
    """Those that requests are by: editors."""
    return {f"00000000-0000-4000-8000-{i:012x}": {"roles": {catalogues.PROJECT: "editor"}}
            for i in range(USERS)}


def of(name, n):
    """The mix, where a backlog has `n` requests; wide has a tenth of them."""
    kind = {"wide": Wide, "connecting": Connecting}.get(name, Mix)
    if name not in NAMES:
        raise SystemExit(f"bench: BENCH_MIXES: no mix {name}; there are {', '.join(NAMES)}")
    return kind(name, n // 10 if name == "wide" else n, n if name == "once" else SCHEDULES)


def forget_the_rest(redis):
    """Drops what is no catalogue: claims, marks, the floor's keys."""
    generation = redis.get("schedrun:g").decode()
    keep = {f"schedrun:{key}".encode() for key in ("s", "i", "v", "h", "g", "e", "n")}
    keep |= {f"schedrun:g{generation}:{letter}".encode() for letter in "djupl"}
    cursor = None
    while cursor != 0:
        cursor, keys = redis.scan(cursor or 0, "schedrun:[^w]*", 10000)
        keys = [key for key in keys if key not in keep]
        if keys:
            redis.unlink(*keys)
