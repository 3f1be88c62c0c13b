"""Canonical JSON, and JSON read as strictly as the documents want it."""

import json

from model import Invalid


def unique(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Invalid("a key twice")
    return members


def no_constant(name):
    raise Invalid(name)


def read(text):
    """Objects with a key twice, NaN and broken texts are Invalid."""
    try:
        node = json.loads(
            text, object_pairs_hook=unique, parse_constant=no_constant
        )
        json.dumps(node, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Invalid(str(error)) from error
    return node


def canonical(node):
    return json.dumps(
        node, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
