"""Faithful fakes of Kick, Twitch and Google, and a sender of signed Kick deliveries.

In-process:  ``with FakeKick() as kick: kick.set(authorize="auto")``
As programs: ``python3 -m tests.fake --dir DIR`` and ``python3 -m tests.fake.sender --help``

Shapes come from the platform fact sheets; letters and numbers in docstrings ("Kick 1.5",
"A.11") name their sections. Marks: [U] not known, [I] inferred.
"""
