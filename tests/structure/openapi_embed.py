"""Writes what httpd serves of docs/ as C strings of JSON: httpd/openapi_json.inc of
docs/openapi.yaml, and httpd/event_schema_json.inc of docs/event.schema.json.

Run it after a change of one of them; test_openapi.py fails while they differ.
"""

import json
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "docs" / "openapi.yaml"
TARGET = ROOT / "httpd" / "openapi_json.inc"
SCHEMA = ROOT / "docs" / "event.schema.json"
SCHEMA_TARGET = ROOT / "httpd" / "event_schema_json.inc"
PIECE = 70


def embedded(value, source) -> str:
    text = json.dumps(value, separators=(",", ":"))
    assert text.isascii()
    lines = []
    for start in range(0, len(text), PIECE):
        piece = text[start:start + PIECE]
        lines.append('    "' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return f"/* Made from {source.relative_to(ROOT)} by tests/structure/openapi_embed.py. */\n" + \
        "\n".join(lines) + "\n"


def made() -> str:
    return embedded(yaml.safe_load(SOURCE.read_text()), SOURCE)


def made_schema() -> str:
    return embedded(json.loads(SCHEMA.read_text()), SCHEMA)


if __name__ == "__main__":
    TARGET.write_text(made())
    SCHEMA_TARGET.write_text(made_schema())
