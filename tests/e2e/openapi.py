"""docs/openapi.yaml held against what the adapter answers: whatever the tests
of the routes send and receive is checked by it."""

import functools
import pathlib
import re

import jsonschema
import referencing.jsonschema
import yaml

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
METHODS = ("get", "put", "post", "delete")
JSON = "application/json"


@functools.cache
def document():
    return yaml.safe_load(SOURCE.read_text())


def follow(pointer):
    """A pointer "#/a/b" into the document; references are followed, to it."""
    node = document()
    for step in pointer[2:].split("/"):
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return follow(node["$ref"]) if "$ref" in node else (pointer, node)


@functools.cache
def validator(pointer):
    registry = referencing.Registry().with_resource("urn:api", referencing.Resource(
        contents=document(), specification=referencing.jsonschema.DRAFT202012))
    return jsonschema.Draft202012Validator({"$ref": "urn:api" + pointer}, registry=registry)


def escape(key):
    return str(key).replace("~", "~0").replace("/", "~1")


class Operation:
    def __init__(self, path, method):
        self.path, self.method = path, method
        self.pointer = f"#/paths/{escape(path)}/{method}"
        self.spec = document()["paths"][path][method]
        self.id = self.spec["operationId"]

    def response(self, status):
        responses = self.spec["responses"]
        assert str(status) in responses, f"{self.id} answers {status}: not in {list(responses)}"
        return follow(f"{self.pointer}/responses/{status}")

    def body(self):
        """Pointer to the request body's schema, None if it has none."""
        if "requestBody" not in self.spec:
            return None
        pointer, _ = follow(f"{self.pointer}/requestBody")
        return f"{pointer}/content/{escape(JSON)}/schema"

    def errors(self):
        """(status, errorName) of all that is documented."""
        for status in self.spec["responses"]:
            if status < "400":
                continue
            pointer, response = self.response(status)
            schema = response["content"][JSON]["schema"]
            for option in schema.get("anyOf", [schema]):
                yield int(status), follow(option["$ref"])[1]["properties"]["errorName"]["const"]


@functools.cache
def operations():
    return [Operation(path, method) for path, item in document()["paths"].items()
            for method in METHODS if method in item]


@functools.cache
def patterns():
    """Literal segments before variables, as the router has it."""
    paths = sorted(document()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path)), path) for path in paths]


def find(method, path):
    for pattern, documented in patterns():
        if pattern.fullmatch(path):
            item = document()["paths"][documented]
            return documented, Operation(documented, method) if method in item else None
    return None, None


seen = set()  # (operationId, status, errorName) of all answers


def check(method, path, answer, sent=None):
    """Asserts that an answer, and what was sent if it was taken, are documented."""
    documented, operation = find("get" if method == "HEAD" else method.lower(), path)
    if documented is None or method in ("OPTIONS", "HEAD"):
        return
    if operation is None:
        assert answer.status_code == 405
        validator(follow("#/components/responses/MethodNotAllowed")[0] +
                  f"/content/{escape(JSON)}/schema").validate(answer.json())
        return
    pointer, response = operation.response(answer.status_code)
    if answer.headers.get("Content-Type") == "text/event-stream":  # has no end
        assert "text/event-stream" in response["content"]
        seen.add((operation.id, answer.status_code, None))
        return
    name = None
    if answer.content or "content" in response:
        [kind] = response["content"]
        assert answer.headers["Content-Type"] == kind
        body = answer.json() if kind == JSON else answer.text
        validator(f"{pointer}/content/{escape(kind)}/schema").validate(body)
        name = body.get("errorName") if answer.status_code >= 400 else None
    seen.add((operation.id, answer.status_code, name))
    if answer.status_code < 300 and sent is not None:
        validator(operation.body()).validate(sent)
