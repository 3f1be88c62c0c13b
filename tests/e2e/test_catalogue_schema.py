"""docs/catalogue.schema.json refuses what `apply` refuses by its form, and nothing else."""

import copy
import json
import operator
import re
import subprocess

import jsonschema
import pytest
from programs import BUILD, ROOT

SCHEMA = json.loads((ROOT / "docs/catalogue.schema.json").read_text())
FULL = json.loads((ROOT / "tests/samples/catalogue-full.json").read_text())
CATALOGUES = ["docs/catalogue.example.json", "deploy/local/catalogue.json",
              "tests/samples/catalogue.json", "tests/samples/catalogue-full.json"]
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
SHOWN = 100  # faults that apply prints at most
WRONG = [None, True, 7, -1, 2147483647, 2147483648, 1.5, "", "plain", "a\nb", "\u007f", "x" * 200,
         "x" * 201, "x" * 256, "x" * 5000, "ri.Foundry.main.dataset.x", "ri.foundry..dataset.x", "ri.foundry.main.dataset.x\n",
         "manual", "upstream", "user", "always", "viewer", [], {}, ["plain"], ["ri.a..b.c", "ri.a..b.c"],
         {"rid": "ri.a..b.c"}, {"no": 1}]
# Looked into only where a store answers, or in no store at all.
UNLOOKED = {"trigger", "createdTime"}


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", CATALOGUES)
def test_catalogues_that_are_applied_elsewhere(name):
    VALIDATOR.validate(json.loads((ROOT / name).read_text()))


def places(node, path=()):
    """Each value in the document, by the way to it."""
    yield path
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if key not in UNLOOKED:
            yield from places(value, (*path, key))


def edit(document, path, act):
    """A copy, after `act` on what holds the value at this place."""
    new = copy.deepcopy(document)
    parent = new
    for key in path[:-1]:
        parent = parent[key]
    act(parent, path[-1])
    return new


def changed(document, path):
    """The document with one thing wrong at this place, or maybe right: many of it."""
    def add_member(parent, key):
        if isinstance(parent[key], dict):
            parent[key]["surplus"] = 1

    def rename(name):
        def act(parent, key):
            if isinstance(parent, dict):
                parent[name] = parent.pop(key)
        return act

    for value in WRONG:
        yield edit(document, path, lambda parent, key, value=value: operator.setitem(parent, key, value))
    for name in ("surplus", "", "x" * 201, "ri.a..b.c", "ri.a..b.c@", "ri.a..b.c@d", "ri.a..b." + "c" * 193):
        yield edit(document, path, rename(name))
    yield edit(document, path, operator.delitem)
    yield edit(document, path, add_member)


def variants():
    """(section, thing): one thing of a section, with at most one thing wrong."""
    seen = set()
    for section, things in FULL.items():
        if section == "limits":
            continue
        for key in things if isinstance(things, dict) else range(len(things)):
            for path in places(things[key]):
                for new in changed({"at": things[key]}, ("at", *path)) if path else ():
                    text = json.dumps(new.get("at"))
                    if "at" in new and (section, text) not in seen:
                        seen.add((section, text))
                        yield section, new["at"]


def renamed(thing, i):
    """So that it is the only one of its name, whatever it is: of `balance`."""
    return json.loads(re.sub(r"balance(?=[-\"])", f"balance-{i}", json.dumps(thing)))


def catalogue(chunk):
    """A document with each of them, beside what they are about."""
    document = {"projects": {}, "users": {}, "datasets": {}, "jobSpecs": [], "schedules": []}
    for i, (section, thing) in chunk:
        if isinstance(document[section], list):
            document[section].append(renamed(thing, i))
        else:
            document[section][f"ri.a..b.x{i}"] = thing
    return document


def refused_by_apply(path):
    done = subprocess.run([BUILD / "schedrun", "--redis", "redis://127.0.0.1:1/0", "--timeout", "1s",
                           "apply", path], capture_output=True, text=True, timeout=60)
    assert "more\n" not in done.stderr, "more faults than are shown"
    assert done.returncode == 4, done.stderr
    return {re.match(r'(\w+)(?:\["|\[|\.)([^"\]]*)', line.split(": $.", 1)[1]).groups()
            for line in done.stderr.splitlines() if ": $." in line}


def refused_by_schema(document):
    return {(str(error.absolute_path[0]), str(error.absolute_path[1])) if len(error.absolute_path) > 1 else error.message
            for error in VALIDATOR.iter_errors(document)}


def test_it_refuses_what_apply_refuses(tmp_path):
    chunks, n, faults = list(enumerate(variants())), 0, 0
    for start in range(0, len(chunks), 35):
        document = catalogue(chunks[start:start + 35])
        document["jobSpecs"].append({})  # so that each file has a fault, and no store is asked
        path = tmp_path / "catalogue.json"
        path.write_text(json.dumps(document))
        ours, its = refused_by_apply(path), refused_by_schema(document)
        assert ours == its, [(section, json.dumps(document[section][int(key) if key.isdigit() else key]))
                             for section, key in ours ^ its]
        n += 35
        faults += len(its)
    assert n > 500 and faults > 300, (n, faults)
