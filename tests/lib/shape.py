"""Every event that a test reads of a real daemon is one of docs/event.schema.json, and our own ones
have the members that docs/events.md says they have."""
import json
import re

import jsonschema

from tests.conftest import ROOT

CHECK = jsonschema.Draft202012Validator(
    json.loads((ROOT / "docs/event.schema.json").read_text()))

PAGE = (ROOT / "docs/events.md").read_text()


def own_members():
    """{type: names of the members} of the notices of docs/events.md."""
    table = PAGE.split("Types of notices:")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|.*\| (.*?) \|$", table, re.M)
    return {kind: set(re.findall(r"`(\w+)`", members)) for kinds, members in rows
            for kind in re.findall(r"`([\w.]+)`", kinds)}


def account_members():
    """The same of the kind `account`: of every type, and of the one that is named."""
    row, = re.findall(r"^\| `account` \|.*\| (.*?) \|$", PAGE, re.M)
    always, named = row.split("; when it was lost")
    always = set(re.findall(r"`(\w+)`", always))
    return {"account.recovered": always, re.search(r"`([\w.]+)`", named).group(1):
            always | set(re.findall(r"`(\w+)`", named))}


MEMBERS = {**own_members(), **account_members()}


def check_own(event):
    """Ours say everything in their payload, and nothing that is not documented."""
    assert set(event["payload"]) == MEMBERS[event["type"]], event
    assert event["data"] == event["payload"], event


# Of long lists only so many from the begin and the end: validating takes half a millisecond.
SOME = 20


def check(events):
    """The events, after some of them were validated."""
    for event in events if len(events) <= 2 * SOME else events[:SOME] + events[-SOME:]:
        problem = next(CHECK.iter_errors(event), None)
        assert problem is None, f"{problem.message} at {list(problem.path)} in {event}"
        if "own" in event["flags"] and "damaged" not in event["flags"]:
            check_own(event)
    return events
