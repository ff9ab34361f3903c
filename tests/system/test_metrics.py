"""GET /metrics, read by the parser of Prometheus' own Python client, against docs/metrics.md."""
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import ROOT

COUNTED = {"counter": "_total", "gauge": "", "histogram": ""}
BASE = re.compile(r"streamhold_[a-z0-9]+(_[a-z0-9]+)*")


def documented():
    """{family: (type, labels)} of the tables of docs/metrics.md."""
    text = (ROOT / "docs/metrics.md").read_text()
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in
            re.findall(r"^\| `(streamhold_\w+)` \| (\w+) \| ([^|]*)\|", text, re.M)}


def families(daemon):
    """{name as written: family}. The parser cuts `_total` off; here it stays."""
    answer = daemon.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    found = {}
    for family in text_string_to_metric_families(answer.text):
        name = family.name + COUNTED[family.type]
        assert name not in found, f"{name} is written twice"
        found[name] = family
    assert set(re.findall(r"^# TYPE (\w+)", answer.text, re.M)) == set(found)
    return found


def value(found, name, **labels):
    """The one sample of a family with these labels."""
    values = [sample.value for sample in found[name].samples if sample.labels == labels]
    assert len(values) == 1, (name, labels, found[name].samples)
    return values[0]


@pytest.fixture
def daemon(streamhold, fakes, folder):
    return streamhold(fakes.config(folder))


def test_every_family_is_documented_as_it_is(daemon):
    found = families(daemon)
    assert {name: family.type for name, family in found.items()} == \
        {name: kind for name, (kind, _) in documented().items()}
    for name, family in found.items():
        assert BASE.fullmatch(name), name
        assert family.documentation.endswith("."), name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == documented()[name][1], sample


def test_the_process(daemon):
    found = families(daemon)
    sample, = found["streamhold_build_info"].samples
    assert sample.value == 1
    assert sample.labels["version"] == daemon.get("/healthz").json()["version"]
    assert value(found, "streamhold_front_connected", role="webhook") == 1
    assert value(found, "streamhold_front_connects_total", role="api") == 1
