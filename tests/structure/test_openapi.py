"""docs/openapi.yaml describes exactly the routes of streamhold-httpd, and is what it serves."""

import functools
import json
import re
import subprocess

import pytest
import yaml

from tests.lib import described
from tests.lib.daemon import Answer
from tests.lib.front import ROOT, Front
from tests.structure import openapi_embed

METHODS = {"get", "put", "post", "delete", "patch"}


@functools.cache
def whole():
    return yaml.safe_load(openapi_embed.SOURCE.read_text())


def routes_of(program):
    """{(method, path in the form of OpenAPI): role} of the built-in table."""
    listing = subprocess.run([program, "-Q", "routes"], check=True, capture_output=True,
                             text=True).stdout
    found = {}
    for line in listing.splitlines():
        method, path, role = line.split()
        found[method.lower(), re.sub(r":(\w+)", r"{\1}", path)] = role
    assert len(found) == len(listing.splitlines())
    return found


def operations():
    return {(method, path): operation for path, item in whole()["paths"].items()
            for method, operation in item.items() if method in METHODS}


def test_every_route_is_described_and_nothing_else(build):
    routes = routes_of(build / "bin" / "streamhold-httpd")
    assert len(routes) > 15
    assert set(operations()) == set(routes)


def test_webhook_paths_name_their_own_server(build):
    for (_, path), role in routes_of(build / "bin" / "streamhold-httpd").items():
        assert ("servers" in whole()["paths"][path]) == (role == "webhook")


def test_embedded_copy_is_fresh():
    assert openapi_embed.TARGET.read_text() == openapi_embed.made(), \
        "run python3 tests/structure/openapi_embed.py"
    assert openapi_embed.SCHEMA_TARGET.read_text() == openapi_embed.made_schema(), \
        "run python3 tests/structure/openapi_embed.py"


def test_the_event_is_described_the_same_twice():
    """In short in the description of the API, in full in the schema."""
    schema = json.loads(openapi_embed.SCHEMA.read_text())
    event = whole()["components"]["schemas"]["Event"]
    assert sorted(event["required"]) == sorted(schema["required"])
    assert set(event["properties"]) == set(schema["properties"])
    assert event["properties"]["kind"]["enum"] == schema["properties"]["kind"]["enum"]
    assert event["properties"]["flags"]["items"] == schema["properties"]["flags"]["items"]


def test_it_is_served(build):
    with Front() as front:
        answer = front.ask(path="/openapi.json")
        assert answer["Content-Type"] == "application/json"
        assert answer.json() == whole()
        answer = front.ask(path="/event.schema.json")
        assert answer["Content-Type"] == "application/json"
        assert answer.json() == json.loads(openapi_embed.SCHEMA.read_text())


def references(value):
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def test_references_lead_somewhere_and_all_parts_are_used():
    document = whole()
    used = set(references(document))
    parts = {f"#/components/{kind}/{name}" for kind, group in document["components"].items()
             for name in group}
    assert used == parts


def test_operations_are_complete():
    names = [operation["operationId"] for operation in operations().values()]
    assert len(set(names)) == len(names)
    for (method, path), operation in operations().items():
        assert operation["summary"] and operation["tags"] and operation["responses"]
        item = whole()["paths"][path]
        parameters = item.get("parameters", []) + operation.get("parameters", [])
        shared = whole()["components"]["parameters"]
        named = {(shared[p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p)["name"]
                 for p in parameters}
        assert set(re.findall(r"\{(\w+)\}", path)) <= named, (method, path)


def test_refusals_that_every_operation_may_give_are_whole():
    for (method, path), operation in operations().items():
        found = set(operation["responses"])
        assert "429" in found, (method, path)
        if "requestBody" in operation:
            assert {"413", "415"} <= found, (method, path)
        # Whoever asks the broker may find it away.
        alone = {"/", "/healthz", "/status", "/openapi.json", "/event.schema.json"}
        assert ("503" in found) == (path not in alone), (method, path)


def test_an_answer_that_is_not_described_is_noticed():
    """By those that daemons give in the tests: tests/lib/described.py."""
    def answer(status, body, kind="application/json", **headers):
        return Answer(status, {"Content-Type": kind, **headers}, json.dumps(body).encode())
    alive = {"status": "alive", "version": "1"}
    described.check("GET", "/healthz", answer(200, alive))
    described.check("HEAD", "/healthz", Answer(200, {"Content-Type": "application/json"}, b""))
    code = {"Streamhold-Error": "not_found"}
    described.check("GET", "/nothing", answer(404, {"error": "no"}, **code))
    described.check("GET", "/subscriptions/kick/sync", answer(404, {"error": "no"}, **code))
    described.check("POST", "/webhooks/kick", answer(200, {"status": "stored"}), webhook=True)
    for method, path, wrong in (
            ("POST", "/webhooks/kick", answer(200, {"status": "stored"})),
            ("GET", "/healthz", answer(200, alive | {"more": 1})),
            ("GET", "/healthz", answer(200, {"status": "alive"})),
            ("GET", "/healthz", answer(200, {"status": "well", "version": "1"})),
            ("GET", "/healthz", answer(200, alive, "text/html")),
            ("GET", "/healthz", answer(404, {"error": "no"}, **code)),
            ("GET", "/healthz", answer(503, {"error": "no"})),
            ("GET", "/nothing", answer(200, {})),
            ("DELETE", "/subscriptions/kick/a", answer(413, {"error": "no"})),
            ("GET", "/oauth/accounts", answer(200, {"accounts": [{}], "refused_logins": []}))):
        with pytest.raises(AssertionError):
            described.check(method, path, wrong)


def test_every_query_parameter_of_the_code_is_whole():
    asked = set()
    for file in (ROOT / "httpd").glob("page_*.c"):
        text = file.read_text()
        asked |= set(re.findall(r'(?:request_parameter|read_number|url_query_find)\(\s*query,\s*'
                                r'"(\w+)"', text))
    events = (ROOT / "httpd" / "event_query.c").read_text()
    asked |= set(re.findall(r'(?:url_query_find\(from, |name\.data, |\{ )"(\w+)"', events))
    shared = {name["name"] for name in whole()["components"]["parameters"].values()
              if name["in"] == "query"}
    own = {p["name"] for operation in operations().values()
           for p in operation.get("parameters", []) if p.get("in") == "query"}
    assert len(asked) > 8
    assert asked == shared | own
