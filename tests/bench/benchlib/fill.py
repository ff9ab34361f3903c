"""Makes a database large: copies of one stored event, each with its own number and id.

The rows are written straight into the file of a stopped server, by the columns that the schema
has, so that a growth run needs no million of signatures.
"""
import contextlib
import hashlib
import sqlite3

from .tools import BenchError

STEP = 50_000
MONTH_S = 30 * 86400


def copies(row, names, first, count):
    """Rows like `row` under the numbers from `first` on; ids grow as ULIDs do."""
    seq, message_id = names.index("seq"), names.index("message_id")
    for number in range(first, first + count):
        one = list(row)
        one[seq], one[message_id] = number, f"01FILL{number:020d}"
        yield one


def contents(first, count, total, now_s):
    """Keys of contents as store_content.c makes them: seconds of a time that the body tells, and
    bytes of a hash. The events came evenly over a month, the last of them a moment ago."""
    for number in range(first, first + count):
        seconds = now_s - (total - number) * MONTH_S // total
        yield seconds.to_bytes(4, "big") + hashlib.sha256(str(number).encode()).digest()[:12]


def insert(connection, row, names, first, count, total):
    """So many events, their message ids and their contents, in one transaction."""
    marks = ",".join("?" * len(names))
    received = row[names.index("received_at")]
    numbers = range(first, first + count)
    with connection:
        connection.executemany(f"INSERT INTO events VALUES ({marks})",
                               copies(row, names, first, count))
        connection.executemany(
            "INSERT INTO message_ids (message_id, seq, received_at) VALUES (?, ?, ?)",
            ((f"01FILL{number:020d}", number, received) for number in numbers))
        connection.executemany(
            "INSERT INTO contents (key, seq) VALUES (?, ?)",
            zip(contents(first, count, total, received // 1000), numbers))


def fill(database, total):
    """Fills up to `total` events, message ids and contents. The file has one event."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-200000")
        cursor = connection.execute("SELECT * FROM events ORDER BY seq DESC LIMIT 1")
        names = [column[0] for column in cursor.description]
        row = cursor.fetchone()
        last = row[names.index("seq")]
        with connection:    # what the first one is known by are notes yet
            connection.execute("INSERT INTO contents SELECT content, seq FROM events")
            connection.execute("INSERT INTO message_ids SELECT message_id, seq, received_at FROM events")
        while last < total:
            count = min(STEP, total - last)
            insert(connection, row, names, last + 1, count, total)
            last += count
        with connection:
            connection.execute("UPDATE sequence SET known_to = ?", (total,))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for table in ("events", "message_ids", "contents"):
            have, = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            if have != total:
                raise BenchError(f"{database}: {have} rows in {table}, {total} wanted")
