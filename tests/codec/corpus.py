"""Avro records, good and broken, for schemas of every type: an encoder of its
own, so that it writes what no library does (blocks with sizes, numbers in more
bytes than they need, lengths that lie)."""

import json
import struct

LEAVES = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]


class Rng:
    """SplitMix64: the same corpus with any version of Python."""

    def __init__(self, seed):
        self.state = seed

    def getrandbits(self, n):
        mask = 2**64 - 1
        self.state = self.state + 0x9E3779B97F4A7C15 & mask
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        return (z ^ z >> 31) >> (64 - n)

    def randrange(self, start, stop=None):
        if stop is None:
            start, stop = 0, start
        return start + self.getrandbits(32) % (stop - start)

    def random(self):
        return self.getrandbits(32) / 2**32

    def choice(self, items):
        return items[self.randrange(len(items))]

    def randbytes(self, n):
        return bytes(self.getrandbits(8) for _ in range(n))

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.randrange(i + 1)
            items[i], items[j] = items[j], items[i]


class Schemas:
    """Random schemas; a name never comes twice."""

    def __init__(self, rng):
        self.rng = rng
        self.names = 0

    def name(self):
        self.names += 1
        return f"N{self.names}"

    def type(self, depth):
        kind = self.rng.randrange(14 if depth > 0 else 8)
        if kind < 8:
            return LEAVES[kind]
        if kind < 10:
            return {"type": "array", "items": self.type(depth - 1)}
        if kind == 10:
            return {"type": "map", "values": self.type(depth - 1)}
        if kind == 11:
            return self.union(depth - 1)
        return self.named(depth - 1)

    def union(self, depth):
        branches = [b for b in LEAVES if self.rng.random() < 0.3]
        return branches + [self.named(depth)]

    def named(self, depth):
        kind = self.rng.randrange(3)
        if kind == 0:
            return self.record(self.name(), depth)
        if kind == 1:
            return {"type": "fixed", "name": self.name(), "size": self.rng.randrange(1, 5)}
        symbols = [f"S{i}" for i in range(self.rng.randrange(1, 5))]
        return {"type": "enum", "name": self.name(), "symbols": symbols}

    def record(self, name, depth):
        fields = [
            {"name": f"f{i}", "type": self.type(depth)}
            for i in range(self.rng.randrange(1, 5))
        ]
        return {"type": "record", "name": name, "fields": fields}

    def any(self):
        self.names = 0
        schema = self.record("Any", 3)
        schema["namespace"] = "schedrun"
        return schema


def varint(number, extra=0):
    """Zig-zag; `extra` bytes more than it needs."""
    bits = (number << 1) ^ (number >> 63) if number < 0 else number << 1
    out = bytearray()
    while bits >= 0x80 or extra > 0:
        if bits < 0x80:
            extra -= 1
        out.append(bits & 0x7F | 0x80)
        bits >>= 7
    out.append(bits)
    return bytes(out)


class Bodies:
    """A random value's bytes, and now and then a lie in them."""

    def __init__(self, rng, lies):
        self.rng = rng
        self.lies = lies

    def number(self, value):
        if self.rng.random() < self.lies:
            return varint(
                self.rng.choice([value, -1, -(2**63), 2**31, 2**62, 2**40, value + 1]),
                self.rng.choice([0, 0, 1, 3, 5]),
            )
        return varint(value)

    def some_int(self, bits):
        value = self.rng.getrandbits(self.rng.randrange(1, bits))
        return self.number(value if self.rng.random() < 0.5 else -value)

    def bytes(self, text):
        data = (
            "".join(self.rng.choice("aZ0 ä€😀") for _ in range(self.rng.randrange(6))).encode()
            if text
            else self.rng.randbytes(self.rng.randrange(6))
        )
        return self.number(len(data)) + data

    def items(self, item):
        """Blocks, some with their size.  No lie about items without bytes:
        Avro for Java makes as many of them as it is told, for hours."""
        out = b""
        for _ in range(self.rng.randrange(3)):
            n = self.rng.randrange(1, 4)
            block = b"".join(item() for _ in range(n))
            if not block:
                out += varint(n)
            elif self.rng.random() < 0.5:
                out += self.number(n) + block
            else:
                out += self.number(-n) + self.number(len(block)) + block
        return out + self.number(0)

    def value(self, schema):
        if isinstance(schema, list):
            i = self.rng.randrange(len(schema))
            return self.number(i) + self.value(schema[i])
        kind = schema["type"] if isinstance(schema, dict) else schema
        return getattr(self, "write_" + kind)(schema)

    def write_null(self, _):
        return b""

    def write_boolean(self, _):
        if self.rng.random() < self.lies:
            return b"\x02"
        return self.rng.choice([b"\0", b"\1"])

    def write_int(self, _):
        return self.some_int(32)

    def write_long(self, _):
        return self.some_int(64)

    def write_float(self, _):
        return struct.pack("<f", self.rng.random())

    def write_double(self, _):
        return struct.pack("<d", self.rng.random())

    def write_bytes(self, _):
        return self.bytes(text=False)

    def write_string(self, _):
        return self.bytes(text=True)

    def write_fixed(self, schema):
        return self.rng.randbytes(schema["size"])

    def write_enum(self, schema):
        return self.number(self.rng.randrange(len(schema["symbols"])))

    def write_array(self, schema):
        return self.items(lambda: self.value(schema["items"]))

    def write_map(self, schema):
        return self.items(lambda: self.bytes(text=True) + self.value(schema["values"]))

    def write_record(self, schema):
        return b"".join(self.value(field["type"]) for field in schema["fields"])


def flip(rng, body):
    """Another bit, fewer bytes or more of them."""
    body = bytearray(body)
    kind = rng.randrange(4)
    if kind == 0 and body:
        return bytes(body[: rng.randrange(len(body))])
    if kind == 1:
        return bytes(body) + rng.randbytes(rng.randrange(1, 3))
    if body:
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(body)


REQUEST_TYPES = {
    "requestId": ["string", "bytes", ["null", "string"], ["string"], "int"],
    "runRid": [["null", "string"], "null", "string", "bytes", ["string", "null"]],
    "scheduleRid": ["string", "string", "bytes"],
    "scheduleVersionRid": [["null", "string"], ["bytes", "null"], "long"],
    "createdTime": ["long", "int", {"type": "long", "logicalType": "timestamp-millis"},
                    ["int", "long"], "double", ["null", "long"]],
    "createdBy": [["null", "string"], ["int", "string"], "null"],
    "trigger": [["null", "string"], "string", "bytes", ["null", "double", "string"]],
}


def evolved(rng):
    """A writer's RunRequest: other types, fields left out, added, reordered."""
    schemas = Schemas(rng)
    fields = []
    for name, types in REQUEST_TYPES.items():
        if rng.random() < 0.12:
            continue
        kind = types[0] if rng.random() < 0.7 else rng.choice(types)
        fields.append({"name": name, "type": kind})
    for i in range(rng.randrange(3)):
        fields.append({"name": f"more{i}", "type": schemas.type(2)})
    if rng.random() < 0.5:
        rng.shuffle(fields)
    return {"type": "record", "name": "RunRequest", "namespace": "schedrun", "fields": fields}


def cases(n, seed):
    """n tuples: kind, schema text, body, whether the body is a record."""
    rng = Rng(seed)
    for i in range(n):
        kind = "any" if i % 2 else "request"
        schema = Schemas(rng).any() if kind == "any" else evolved(rng)
        lies = rng.choice([0, 0, 0.03])
        body = Bodies(rng, lies).value(schema)
        is_broken = rng.random() < 0.4
        if is_broken:
            body = flip(rng, body)
        text = json.dumps(schema, separators=(",", ":"))
        yield kind, text, body, lies == 0 and not is_broken
