"""The tree as the lint scripts see it: files by git's patterns, so that it
doesn't matter in which folder one lies, and C read without a compiler: the
formatter (tests/lint/format) has a definition's name begin its line."""

import bisect
import os
import re
import subprocess
import sys

ROOMS = ("common", "schemas", "worker", "producer")
ROOM_SOURCES = [f"{room}/*.c" for room in ROOMS]
ROOM_HEADERS = [f"{room}/*.h" for room in ROOMS]

TOKEN = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
INCLUDE = re.compile(r'^#include ([<"])([^>"]+)[>"]', re.M)
NAME = re.compile(r"[A-Za-z_]\w*")
DEFINITION = re.compile(r"^([A-Za-z_]\w*)\(", re.M)
PROTOTYPE = re.compile(r"([A-Za-z_]\w*)\s*\(")
# As `call_function http_runs_get`: a header has no variable without extern.
FUNCTION_OF_TYPE = re.compile(r"(?!extern|struct|enum|union)\w+\s+(\w+)")


def files(*patterns):
    """Tracked files and new ones, by git pathspecs: * goes through folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z", "--", *patterns],
        check=True, capture_output=True, text=True).stdout
    return sorted({name for name in listed.split("\0")
                   if name and os.path.isfile(name)})


def folder(path):
    return os.path.dirname(path)


def room(path):
    return path.split("/")[0]


def is_internal(header):
    return re.search(r"(^|/|_)internal\.h$", header) is not None


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def blank(match):
    return re.sub(r"[^\n]", " ", match.group())


def plain(comment):
    """A comment's lines joined, without its marks."""
    text = re.sub(r"^/\*+|\*+/$|^//+", "", comment)
    lines = [re.sub(r"^\s*(\*(?=\s|$)|//+)?\s*", "", line).rstrip()
             for line in text.split("\n")]
    return " ".join(line for line in lines if line).strip()


def closing(code, at):
    """Where the bracket that opens at `at` closes; the end if it doesn't."""
    opens = code[at]
    closes = {"(": ")", "{": "}", "[": "]"}[opens]
    depth = 0
    for match in re.compile("[%s]" % re.escape(opens + closes)).finditer(code, at):
        depth += 1 if match.group() == opens else -1
        if depth == 0:
            return match.start()
    return len(code) - 1


class Function:
    """A definition; `body` has neither comments nor texts."""

    def __init__(self, source, name, start, end, parameters, body, static):
        self.path = source.path
        self.name = name
        self.line = source.line(start)
        self.lines = source.line(end) - self.line + 1
        self.parameters = parameters
        self.body = body
        self.static = static
        self.names = set(re.findall(r"[A-Za-z_]\w*", body))

    def nesting(self):
        """Blocks within blocks of the body; braces of initializers are none."""
        deepest, stack = 0, []
        for match in re.finditer(r"[{}]", self.body):
            if match.group() == "}":
                if stack:
                    stack.pop()
                continue
            before = self.body[:match.start()]
            stack.append(re.search(r"(\) |\belse |\bdo |[;{}:]\s*|^)$",
                                   before[-40:]) is not None)
            deepest = max(deepest, sum(stack))
        return max(deepest - 1, 0)


class Prototype:
    """`parameters` is None where a type has them."""

    def __init__(self, name, line, parameters, documented):
        self.name = name
        self.line = line
        self.parameters = parameters
        self.documented = documented


class Source:
    """A C file.  `code` is as long as the text, with comments and texts blank;
    `bare` lacks the directives too."""

    def __init__(self, path):
        self.path = path
        self.text = read(path)
        self.starts = [0] + [m.end() for m in re.finditer("\n", self.text)]
        self.comments = []   # (line, joined text, start, end)
        self.literals = []   # (line, text): neighbours joined
        self.code = TOKEN.sub(self._take, self.text)
        self.bare = DIRECTIVE.sub(blank, self.code)
        self.functions = list(self._functions())
        self.defined = {f.name: f for f in self.functions}

    def line(self, at):
        return bisect.bisect_right(self.starts, at)

    def _take(self, match):
        token, start = match.group(), match.start()
        if self.text.startswith("#include", self.text.rfind("\n", 0, start) + 1):
            return blank(match) if token[0] == "/" else token
        if token[0] == "/":
            self.comments.append(
                (self.line(start), plain(token), start, match.end()))
        elif token[0] == '"':
            between = self.text[self._end:start] if self.literals else "x"
            if self.literals and not between.strip():
                line, text = self.literals[-1]
                self.literals[-1] = (line, text + token[1:-1])
            else:
                self.literals.append((self.line(start), token[1:-1]))
            self._end = match.end()
        return blank(match)

    def _functions(self):
        for match in DEFINITION.finditer(self.bare):
            opens = match.end() - 1
            closes = closing(self.bare, opens)
            brace = re.compile(r"\s*\{").match(self.bare, closes + 1)
            if brace is None:
                continue
            start = brace.end() - 1
            end = closing(self.bare, start)
            line = self.line(match.start())
            above = self.bare[self.starts[max(line - 2, 0)]:match.start()]
            yield Function(
                self, match.group(1), match.start(), end,
                parameters(self.bare[opens + 1:closes]),
                self.bare[start:end + 1],
                re.search(r"\bstatic\b", above) is not None)

    def includes(self):
        """(line, < or ", what)"""
        for match in INCLUDE.finditer(self.text):
            yield self.line(match.start()), match.group(1), match.group(2)

    def prototypes(self):
        """Those of a header.  Words cover one if a comment stands beside it or
        ends right above it, or above those that no blank line parts from it."""
        ends = {self.line(end - 1) for _, _, _, end in self.comments}
        alone = {self.line(end - 1) for _, _, start, end in self.comments
                 if not self.text[:start].split("\n")[-1].strip()}
        under = set()   # lines of statements that a comment above covers
        at, inside = 0, 0
        for match in re.finditer(r"[;{]", self.bare):
            if match.start() < inside:
                continue
            if match.group() == "{":
                inside = closing(self.bare, match.start())
                if self.bare[at:match.start()].rstrip().endswith(")"):
                    at = inside + 1   # an inline function
                continue
            statement = self.bare[at:match.start()]
            start = at + len(statement) - len(statement.lstrip())
            at = match.end()
            first, last = self.line(start), self.line(match.start())
            if first - 1 in alone or first - 1 in under:
                under.update(range(first, last + 1))
            beside = any(line in ends for line in range(first, last + 1))
            head = re.sub(r"__attribute__.*", "", statement, flags=re.S).strip()
            typed = FUNCTION_OF_TYPE.fullmatch(head)
            if typed is not None:
                yield Prototype(typed.group(1), last, None,
                                beside or first in under)
                continue
            name = PROTOTYPE.search(head)
            if name is None or not head.endswith(")") or "=" in head \
                    or head.startswith("typedef") or name.start() == 0 \
                    or "(*" in head[:name.end() + 1]:
                continue
            opens = name.end() - 1
            yield Prototype(
                name.group(1), self.line(self.text.index(name.group(), start)),
                parameters(head[opens + 1:closing(head, opens)]),
                beside or first in under)


def parameters(text):
    """Names of a parameter list."""
    parts, depth, part = [], 0, ""
    for sign in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += sign
    parts.append(part)
    names = []
    for part in parts:
        part = " ".join(part.split())
        if part in ("", "void", "..."):
            continue
        pointer = re.search(r"\(\*\s*(\w+)\)", part)
        words = re.findall(r"[A-Za-z_]\w*", part.split("[")[0])
        names.append(pointer.group(1) if pointer else words[-1])
    return names


_sources = {}


def source(path):
    if path not in _sources:
        _sources[path] = Source(path)
    return _sources[path]


def sources(*patterns):
    return [source(path) for path in files(*patterns)]


def circles(edges):
    """Sets of files that reach each other, by Tarjan; `edges`: name -> names."""
    index, low, stack, on, found = {}, {}, [], set(), []

    def visit(node):
        work = [(node, iter(sorted(edges.get(node, ()))))]
        index[node] = low[node] = len(index)
        stack.append(node)
        on.add(node)
        while work:
            here, rest = work[-1]
            for there in rest:
                if there not in index:
                    index[there] = low[there] = len(index)
                    stack.append(there)
                    on.add(there)
                    work.append((there, iter(sorted(edges.get(there, ())))))
                    break
                if there in on:
                    low[here] = min(low[here], index[there])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[here])
                if low[here] == index[here]:
                    knot = set()
                    while True:
                        top = stack.pop()
                        on.discard(top)
                        knot.add(top)
                        if top == here:
                            break
                    if len(knot) > 1:
                        found.append(sorted(knot))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return sorted(found)


def joined(path, sign):
    """Comments behind a sign at a line's begin; the lines of one joined."""
    start, lines = 0, []
    for number, line in enumerate(read(path).split("\n") + [""], 1):
        match = re.match(rf"\s*{sign}+!?\s?(.*)", line)
        if match and not line.startswith("#!"):
            start = start or number
            lines.append(match[1].strip())
        elif lines:
            yield start, " ".join(lines)
            start, lines = 0, []


def remarks(path):
    """(line, text) of a file's comments, each one's lines joined."""
    if path.endswith((".c", ".h")):
        for line, text, _, _ in source(path).comments:
            yield line, text
        return
    yield from joined(path, "--" if path.endswith(".lua") else "#")
    if path.endswith(".py"):
        text = read(path)
        for match in re.finditer(r'"""(.*?)"""', text, re.S):
            yield (text.count("\n", 0, match.start()) + 1,
                   " ".join(match[1].split()))


class Count:
    """What passed and what failed; a fault is `file:line: what`."""

    def __init__(self, name):
        self.name = name
        self.passed = self.failed = 0

    def check(self, good, where, what):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print(f"{where}: {what}")
        return good

    def close(self):
        print(f"{self.name}: {self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def enter():
    """To the root of the tree."""
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))


MAP = "docs/map.md"
BASE = "common/base"
HOP = re.compile(r"\s*(?:\d+\.\s+|[-*]\s+)?(~>\s*)?`?([\w./-]+\.\w+): (\w+)`?")


def section(path, heading):
    """(line, text) of what stands under `## heading` of a paper."""
    inside = False
    for number, line in enumerate(read(path).split("\n"), 1):
        if line.startswith("## "):
            inside = re.sub(r"^(\d+\.\s*)?", "", line[3:].strip()) == heading
        elif inside:
            yield number, line


def paths():
    """Of the map's "Paths": (title, [(line, jumps, file, function)])."""
    found = []
    if not os.path.isfile(MAP):
        return found
    for number, line in section(MAP, "Paths"):
        hop = HOP.match(line)
        if line.startswith("### "):
            found.append((line[4:].strip(), []))
        elif hop and found:
            found[-1][1].append(
                (number, hop[1] is not None, hop[2], hop[3]))
    return found


def arrows():
    """Of the map's "Arrows": folder -> the folders that it may include."""
    found = {}
    if os.path.isfile(MAP):
        for _, line in section(MAP, "Arrows"):
            match = re.fullmatch(r"\s*([\w/]+) -> ([\w/ ]+)", line)
            if match:
                found.setdefault(match[1], set()).update(match[2].split())
    return found


def function(path, name):
    if not path.endswith(".c") or not os.path.isfile(path):
        return None
    return source(path).defined.get(name)
