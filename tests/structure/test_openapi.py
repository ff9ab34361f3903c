"""docs/openapi.yaml describes exactly the routes of streamhold-httpd, and is what it serves."""

import json
import re
import subprocess

import yaml

from tests.lib.front import ROOT, Front
from tests.structure import openapi_embed

METHODS = {"get", "put", "post", "delete", "patch"}


def described():
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
    return {(method, path): operation for path, item in described()["paths"].items()
            for method, operation in item.items() if method in METHODS}


def test_every_route_is_described_and_nothing_else(build):
    routes = routes_of(build / "bin" / "streamhold-httpd")
    assert len(routes) > 15
    assert set(operations()) == set(routes)


def test_webhook_paths_name_their_own_server(build):
    for (_, path), role in routes_of(build / "bin" / "streamhold-httpd").items():
        assert ("servers" in described()["paths"][path]) == (role == "webhook")


def test_embedded_copy_is_fresh():
    assert openapi_embed.TARGET.read_text() == openapi_embed.made(), \
        "run python3 tests/structure/openapi_embed.py"
    assert openapi_embed.SCHEMA_TARGET.read_text() == openapi_embed.made_schema(), \
        "run python3 tests/structure/openapi_embed.py"


def test_the_event_is_described_the_same_twice():
    """In short in the description of the API, in full in the schema."""
    schema = json.loads(openapi_embed.SCHEMA.read_text())
    event = described()["components"]["schemas"]["Event"]
    assert sorted(event["required"]) == sorted(schema["required"])
    assert set(event["properties"]) == set(schema["properties"])
    assert event["properties"]["kind"]["enum"] == schema["properties"]["kind"]["enum"]
    assert event["properties"]["flags"]["items"] == schema["properties"]["flags"]["items"]


def test_it_is_served(build):
    with Front() as front:
        answer = front.ask(path="/openapi.json")
        assert answer["Content-Type"] == "application/json"
        assert answer.json() == described()
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
    whole = described()
    used = set(references(whole))
    parts = {f"#/components/{kind}/{name}" for kind, group in whole["components"].items()
             for name in group}
    assert used == parts


def test_operations_are_complete():
    names = [operation["operationId"] for operation in operations().values()]
    assert len(set(names)) == len(names)
    for (method, path), operation in operations().items():
        assert operation["summary"] and operation["tags"] and operation["responses"]
        item = described()["paths"][path]
        parameters = item.get("parameters", []) + operation.get("parameters", [])
        shared = described()["components"]["parameters"]
        named = {(shared[p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p)["name"]
                 for p in parameters}
        assert set(re.findall(r"\{(\w+)\}", path)) <= named, (method, path)


def test_every_query_parameter_of_the_code_is_described():
    asked = set()
    for file in (ROOT / "httpd").glob("page_*.c"):
        text = file.read_text()
        asked |= set(re.findall(r'(?:request_parameter|read_number|url_query_find)\(\s*query,\s*'
                                r'"(\w+)"', text))
    events = (ROOT / "httpd" / "event_query.c").read_text()
    asked |= set(re.findall(r'(?:url_query_find\(from, |name\.data, |\{ )"(\w+)"', events))
    shared = {name["name"] for name in described()["components"]["parameters"].values()
              if name["in"] == "query"}
    own = {p["name"] for operation in operations().values()
           for p in operation.get("parameters", []) if p.get("in") == "query"}
    assert len(asked) > 8
    assert asked == shared | own
