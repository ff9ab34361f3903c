"""Writes httpd/openapi_json.inc, docs/openapi.yaml as a C string of JSON.

Run it after a change of the YAML; test_openapi.py fails while the two differ.
"""

import json
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "docs" / "openapi.yaml"
TARGET = ROOT / "httpd" / "openapi_json.inc"
PIECE = 70


def made() -> str:
    text = json.dumps(yaml.safe_load(SOURCE.read_text()), separators=(",", ":"))
    assert text.isascii()
    lines = []
    for start in range(0, len(text), PIECE):
        piece = text[start:start + PIECE]
        lines.append('    "' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"')
    return "/* Made from docs/openapi.yaml by tests/structure/openapi_embed.py. */\n" + \
        "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(made())
