"""Every answer that a test gets of a real daemon is one that docs/openapi.yaml describes: its
status, its media type, and of JSON every member."""
import functools
import json
import re

import jsonschema
import yaml

from tests.conftest import ROOT

# What any request may be answered, whatever its path: refusals before a route is chosen, and
# a defect of ours.
ANYWHERE = {(403, "foreign_origin"), (421, "wrong_host"), (400, "bad_path"), (500, "internal"),
            *((int(status), code) for status, code in re.findall(
                r'REFUSAL\(\w+, (\d+), "(\w+)"',
                (ROOT / "httpd/http_refusals.def").read_text()) if code != "body_too_large")}
# Of longer lists only so many from the begin and the end: validating takes its time.
SOME = 5


def closed(schema):
    """The same, but a member that is not described is not allowed."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(part) for name, part in schema.items()}
    if isinstance(schema.get("properties"), dict):
        found.setdefault("additionalProperties", False)
    return found


@functools.cache
def document():
    return closed(yaml.load((ROOT / "docs/openapi.yaml").read_text(),
                            getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


@functools.cache
def paths():
    """(pattern, item), the most literal first, as the table of routes has them."""
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), item) for path, item in
            sorted(document()["paths"].items(), key=lambda one: (one[0].count("{"), one[0]))]


@functools.cache
def validator(text):
    return jsonschema.Draft202012Validator(
        {**json.loads(text), "components": document()["components"]})


def method_of(method):
    return "get" if method == "HEAD" else method.lower()


def operation(method, path, webhook):
    """What is described for a request to one of the two listeners; None for what is not
    there."""
    path = path.partition("?")[0]
    found = [item for pattern, item in paths()
             if pattern.fullmatch(path) and ("servers" in item) == webhook]
    # Other methods of /subscriptions/kick/sync are those of a channel with that name.
    for item in found if path.endswith("/sync") else found[:1]:
        if method_of(method) in item:
            return item[method_of(method)]
    return None


def shortened(value):
    if isinstance(value, dict):
        return {name: shortened(part) for name, part in value.items()}
    if isinstance(value, list) and len(value) > 2 * SOME:
        return value[:SOME] + value[-SOME:]
    return value


def check(method, path, answer, webhook=False):
    """The answer, which has status, headers and body; `webhook`: of the webhook listener."""
    what = f"{method} {path}: {answer.status}"
    headers = {name.lower(): value for name, value in answer.headers.items()}
    code = headers.get("streamhold-error")
    one = operation(method, path, webhook)
    if (answer.status, code) in ANYWHERE:
        return answer
    if one is None:
        assert (answer.status, code) in ((404, "not_found"), (405, "method_not_allowed")), what
        return answer
    described = one["responses"].get(str(answer.status))
    assert described is not None, f"{what} ({code}) is not described"
    if "$ref" in described:
        described = document()["components"]["responses"][described["$ref"].rsplit("/", 1)[1]]
    kind = headers["content-type"].partition(";")[0]
    assert kind in described["content"], f"{what} is {kind}"
    schema = described["content"][kind].get("schema")
    if schema is None or kind != "application/json" or not answer.body:
        return answer
    value = shortened(json.loads(answer.body))
    problem = next(validator(json.dumps(schema)).iter_errors(value), None)
    assert problem is None, f"{what}: {problem.message} at {list(problem.path)} in {value}"
    return answer
