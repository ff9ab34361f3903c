"""Makes a database large: copies of one stored event, each with its own number and id.

The rows are written straight into the file of a stopped server, by the columns that the schema
has, so that a growth run needs no million of signatures.
"""
import contextlib
import hashlib
import sqlite3

STEP = 50_000


def copies(row, names, first, count):
    """Rows like `row` under the numbers from `first` on; ids grow as ULIDs do."""
    seq, message_id = names.index("seq"), names.index("message_id")
    for number in range(first, first + count):
        one = list(row)
        one[seq], one[message_id] = number, f"01FILL{number:020d}"
        yield one


def contents(first, count):
    """Keys of contents begin with a time and go on with a hash."""
    for number in range(first, first + count):
        yield number.to_bytes(8, "big") + hashlib.sha256(str(number).encode()).digest()


def fill(database, total):
    """Fills up to `total` events; gives the last number. The file has one event or more."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-200000")
        cursor = connection.execute("SELECT * FROM events ORDER BY seq DESC LIMIT 1")
        names = [column[0] for column in cursor.description]
        row = cursor.fetchone()
        have, = connection.execute("SELECT count(*) FROM events").fetchone()
        last, received = row[names.index("seq")], row[names.index("received_at")]
        key = connection.execute("SELECT key FROM contents LIMIT 1").fetchone()
        marks = ",".join("?" * len(names))
        while have < total:
            count = min(STEP, total - have)
            with connection:
                connection.executemany(f"INSERT INTO events VALUES ({marks})",
                                       copies(row, names, last + 1, count))
                connection.executemany(
                    "INSERT INTO message_ids (message_id, seq, received_at) VALUES (?, ?, ?)",
                    ((f"01FILL{number:020d}", number, received)
                     for number in range(last + 1, last + 1 + count)))
                if key:
                    connection.executemany(
                        "INSERT INTO contents (key, seq) VALUES (?, ?)",
                        ((one[:len(key[0])], last + 1 + index)
                         for index, one in enumerate(contents(last + 1, count))))
            last, have = last + count, have + count
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return last
