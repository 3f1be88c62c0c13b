"""Runs in the environment of one release of the published SDK, as its users do.

Reads a call a line from standard input, {"client": "Schedule", "method": "get",
"args": [...], "kwargs": {...}, "token": "...", "config": {...}}, and answers one
line: {"value": ...}, or {"error": class, "bases": [...], "name", "parameters"}.
{"decode": envelope} is turned into the SDK's own class of that errorName.
Warnings are answered too: the SDK warns where it can't decode what it got.
"""

import datetime
import inspect
import json
import sys
import warnings

import foundry_sdk
from foundry_sdk._errors import deserialize_error
from foundry_sdk.v2.core import errors as core_errors
from foundry_sdk.v2.orchestration import errors as orchestration_errors

HOST = sys.argv[1]


def client(token, config):
    return foundry_sdk.FoundryClient(
        auth=foundry_sdk.UserTokenAuth(token), hostname=HOST,
        config=foundry_sdk.Config(scheme="http", timeout=60, **config)).orchestration


def plain(value):
    """What was decoded, by the wire's names, with the classes it was decoded to."""
    if hasattr(value, "model_dump"):
        return {"class": type(value).__name__, **plain(value.model_dump(
            by_alias=True, exclude_none=True))}
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, datetime.datetime):
        assert value.tzinfo is not None
        return value.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds")
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def call(request):
    method = getattr(getattr(client(request.get("token", "full"), request.get("config", {})),
                             request["client"]), request["method"])
    kwargs = dict(request.get("kwargs", {}))
    takes = inspect.signature(method).parameters
    if "preview" in kwargs and "preview" not in takes:
        del kwargs["preview"]
    value = method(*request.get("args", []), **kwargs)
    if hasattr(value, "__next__"):
        value = list(value)
    return {"value": plain(value), "is": type(value).__name__}


def refusal(error):
    answer = {"error": type(error).__name__,
              "bases": [base.__name__ for base in type(error).__mro__]}
    for member in ("name", "parameters", "error_instance_id"):
        if hasattr(error, member):
            answer[member] = getattr(error, member)
    answer.setdefault("text", str(error))
    return answer


def decode(envelope):
    classes = {name: getattr(module, name) for module in (core_errors, orchestration_errors)
               for name in dir(module) if hasattr(getattr(module, name), "__dataclass_fields__")}
    error = deserialize_error(envelope, classes)
    return {"error": None} if error is None else refusal(error)


def answer(request):
    if "decode" in request:
        return decode(request["decode"])
    try:
        return call(request)
    except foundry_sdk.PalantirException as error:
        return refusal(error)
    except Exception as error:  # whatever it is, the test must see it
        return {"error": type(error).__name__, "bases": [], "text": repr(error)}


for line in sys.stdin:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = answer(json.loads(line))
    result["warnings"] = [str(w.message) for w in caught
                          if not issubclass(w.category, DeprecationWarning)]
    print(json.dumps(result), flush=True)
