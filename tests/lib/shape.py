"""Every event that a test reads of a real daemon is one of docs/event.schema.json."""
import json

import jsonschema

from tests.conftest import ROOT

CHECK = jsonschema.Draft202012Validator(
    json.loads((ROOT / "docs/event.schema.json").read_text()))

# Of long lists only so many from the begin and the end: validating takes half a millisecond.
SOME = 20


def check(events):
    """The events, after some of them were validated."""
    for event in events if len(events) <= 2 * SOME else events[:SOME] + events[-SOME:]:
        problem = next(CHECK.iter_errors(event), None)
        assert problem is None, f"{problem.message} at {list(problem.path)} in {event}"
    return events
