"""A database of every older version is brought up to date, and the program is killed at each
statement and at each system call of that: what is left has one version's schema, never two mixed,
and the next start finishes the work."""
import os
import shutil
import sqlite3
import subprocess

import pytest

LONG = bool(os.environ.get("STREAMHOLD_LONG"))
# What changes files; each is one place to die at.
CALLS = ("pwrite64", "write", "fdatasync", "fsync", "ftruncate", "unlink")


@pytest.fixture
def driver(plain):
    program = plain / "tests" / "schema_driver"

    def run(*words, prefix=(), fails=None):
        done = subprocess.run([*prefix, str(program), *map(str, words)], capture_output=True,
                              text=True, timeout=60)
        if fails is None:
            assert done.returncode == 0, done.stderr
        return done if fails else int(done.stdout or 0)
    return run


def schema(file):
    """The version and everything that it has, of a copy: its log is replayed."""
    copy = file.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in file.parent.glob(file.name + "*"):
        shutil.copy(path, copy)
    with sqlite3.connect(copy / file.name) as database:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        made = database.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = database.execute("SELECT value FROM meta WHERE name = 'kept'").fetchall() \
            if version else []
    database.close()
    return version, made, rows


class Upgrade:
    """One file that is put back to an old version before each try."""

    def __init__(self, driver, folder):
        self.driver, self.folder = driver, folder
        self.count = driver("steps")
        self.file = folder / "streamhold.db"
        self.old = folder / "old.db"
        self.schemas = {}
        for version in range(self.count + 1):
            self.prepare(version)
            self.schemas[version] = schema(self.old)[1]

    def prepare(self, version):
        for path in self.folder.glob("old.db*"):
            path.unlink()
        self.driver("make", self.old, version)
        if version:
            with sqlite3.connect(self.old) as database:
                database.execute("INSERT INTO meta VALUES ('kept', x'0102')")
            database.close()
        self.old.chmod(0o600)

    def restore(self):
        for path in self.folder.glob("streamhold.db*"):
            path.unlink()
        shutil.copy(self.old, self.file)

    def check(self, version):
        """What a kill has left, and that the next start mends it."""
        left, made, rows = schema(self.file)
        assert version <= left <= self.count
        assert made == self.schemas[left], f"a mixture after {left}"
        assert rows == ([(b"\x01\x02",)] if version else [])
        self.driver("open", self.file)
        assert schema(self.file)[:2] == (self.count, self.schemas[self.count])
        return left


@pytest.fixture
def upgrade(driver, folder):
    return Upgrade(driver, folder)


def test_every_older_version_becomes_the_newest(upgrade):
    assert upgrade.count >= 9
    for version in range(upgrade.count + 1):
        upgrade.prepare(version)
        upgrade.restore()
        upgrade.check(version)


def test_killed_at_each_statement(upgrade):
    """From nothing, and from the version before the newest."""
    for version in (0, 1, upgrade.count - 1):
        upgrade.prepare(version)
        upgrade.restore()
        total = upgrade.driver("open", upgrade.file)
        assert total > 15
        left = set()
        for nth in range(1, total + 1):
            upgrade.restore()
            done = upgrade.driver("open", upgrade.file, nth, fails=True)
            assert done.returncode == -9, f"statement {nth} of {total} was not reached"
            left.add(upgrade.check(version))
        assert left == set(range(version, upgrade.count + 1))


def test_killed_at_each_system_call(upgrade):
    version = 0 if LONG else upgrade.count - 2
    upgrade.prepare(version)
    reached = set()
    for call in CALLS:
        for nth in range(1, 1000):
            upgrade.restore()
            done = upgrade.driver("open", upgrade.file, fails=True, prefix=(
                "strace", "-f", "-o", "/dev/null", "-e", f"trace={call}",
                "-e", f"inject={call}:signal=KILL:when={nth}"))
            if done.returncode == 0:
                break
            reached.add(call)
            upgrade.check(version)
        else:
            raise AssertionError(f"{call} never ends")
    assert {"pwrite64", "fdatasync"} <= reached


def test_an_older_program_leaves_a_newer_database_alone(upgrade):
    upgrade.prepare(upgrade.count)
    with sqlite3.connect(upgrade.old) as database:
        database.execute("CREATE TABLE of_the_future (x)")
        database.execute(f"PRAGMA user_version = {upgrade.count + 1}")
    database.close()
    upgrade.restore()
    before = schema(upgrade.file)
    done = upgrade.driver("open", upgrade.file, fails=True)
    assert done.returncode == 1 and "newer version" in done.stderr
    assert f"schema {upgrade.count + 1}" in done.stderr and "install that version" in done.stderr
    assert schema(upgrade.file) == before


ROWS = 300      # five pieces of STORE_BACKFILL_ROWS


def rows_of(file):
    copy = file.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in file.parent.glob(file.name + "*"):
        shutil.copy(path, copy)
    with sqlite3.connect(copy / file.name) as database:
        found = [row[0] for row in database.execute("SELECT touched FROM rows ORDER BY id")]
    database.close()
    return found


def test_long_work_goes_on_where_it_was_killed(upgrade):
    """At each statement of it, twice in a row: no row is left out, none is worked on twice."""
    upgrade.prepare(upgrade.count)
    with sqlite3.connect(upgrade.old) as database:
        database.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, touched INTEGER NOT NULL)")
        # With gaps, and keys on both sides of nought.
        database.executemany("INSERT INTO rows VALUES (?, 0)", [(3 * n - 200,) for n in range(ROWS)])
    database.close()
    upgrade.restore()
    total = upgrade.driver("fill", upgrade.file)
    assert rows_of(upgrade.file) == [1] * ROWS
    assert total > 30
    parts = set()
    for nth in range(1, total + 1):
        upgrade.restore()
        done = upgrade.driver("fill", upgrade.file, nth, fails=True)
        assert done.returncode == -9, f"statement {nth} of {total} was not reached"
        left = rows_of(upgrade.file)
        assert left == sorted(left, reverse=True) and set(left) <= {0, 1}
        parts.add(sum(left))
        upgrade.driver("fill", upgrade.file, max(1, nth // 2), fails=True)
        upgrade.driver("fill", upgrade.file)
        assert rows_of(upgrade.file) == [1] * ROWS
    assert parts == {0, 64, 128, 192, 256}
    assert upgrade.driver("fill", upgrade.file) < 10        # it is over: nothing is done again
