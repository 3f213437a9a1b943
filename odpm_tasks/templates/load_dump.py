"""Run the statements of a dump, in a container that reaches PostgreSQL. Input: frames of a kind, four bytes of length, and content.

Kinds: `L` how to connect, as JSON (first); `S` a statement, `C` a COPY statement, both after four bytes of their line; `D` data of
the COPY, `E` its end; `Q` the end. Stops at the first error, with its line. Runs with Python 3.7 and newer.

Indexes, primary and unique keys that follow each other are built by several connections at once, outside of transactions: each of them
locks one table alone. Every other statement waits for them.
"""

import json
import os
import queue
import re
import struct
import sys
import threading

import psycopg2
import psycopg2.extensions

BUILDS_INDEX = re.compile(
    rb"\s*(CREATE (UNIQUE )?INDEX |ALTER TABLE ONLY \S+\s+ADD CONSTRAINT \S+ (PRIMARY KEY|UNIQUE) )", re.IGNORECASE
)
SETTING = re.compile(rb"\s*(SET |SELECT pg_catalog\.set_config\()", re.IGNORECASE)


class Frames:
    def __init__(self, source):
        self._source = source
        self._data = b""
        self._ended = True

    def next(self):
        head = self._source.read(5)
        if len(head) < 5:
            raise SystemExit("the input ended too early")
        kind, length = struct.unpack(">cI", head)
        content = self._source.read(length)
        if len(content) < length:
            raise SystemExit("the input ended too early")
        return kind, content

    def begin(self):
        self._data, self._ended = b"", False

    def read(self, size=65536):
        """The data of a COPY, as psycopg2 reads it."""
        while not self._data and not self._ended:
            kind, self._data = self.next()
            self._ended = kind != b"D"
        part, self._data = self._data[:size], self._data[size:]
        return part


class Failure(Exception):
    """A statement that failed. Arguments: its line, and the message."""


def execute(cursor, line, text, data=None):
    try:
        if data is None:
            cursor.execute(text)
        else:
            cursor.copy_expert(text, data, 1 << 18)
    except psycopg2.Error as error:
        words = " ".join(text[:200].decode("utf-8", "replace").split())[:80]
        raise Failure(line, "%s [%s]" % (str(error).strip().split("\n")[0], words)) from None


class Builders:
    """Connections that build indexes, beside that of the other statements: as many as there are processors, at most four."""

    def __init__(self, cursor, connect):
        self._cursors, self._connect = [cursor], connect
        self._work = queue.Queue()
        self._settings = []
        self._failures = []
        self._started = False

    def set(self, line, text):
        """Repeat a setting of the session in the other connections."""
        self._settings.append((line, text))
        for cursor in self._cursors[1:]:
            execute(cursor, line, text)

    def build(self, line, text):
        if not self._started:
            self._start()
        self._work.put((line, text))

    def _start(self):
        self._started = True
        for _ in range(min(4, os.cpu_count() or 1) - 1):
            try:
                cursor = self._connect()
            except psycopg2.Error:  # PostgreSQL has no connection left
                break
            for one in self._settings:
                execute(cursor, *one)
            self._cursors.append(cursor)
        for cursor in self._cursors:
            threading.Thread(target=self._run, args=(cursor,), daemon=True).start()

    def wait(self):
        """Wait for all that was begun; raise the failure with the first line."""
        self._work.join()
        if self._failures:
            raise min(self._failures, key=lambda failure: failure.args[0])

    def _run(self, cursor):
        while True:
            line, text = self._work.get()
            try:
                if not self._failures:
                    execute(cursor, line, text)
            except Failure as failure:
                self._failures.append(failure)
            finally:
                self._work.task_done()


def load(frames, connect):
    cursor = connect()
    builders = Builders(cursor, connect)
    idle = psycopg2.extensions.TRANSACTION_STATUS_IDLE
    while True:
        kind, content = frames.next()
        if kind == b"S" and BUILDS_INDEX.match(content, 4) and cursor.connection.get_transaction_status() == idle:
            builders.build(struct.unpack(">I", content[:4])[0], content[4:])
            continue
        builders.wait()
        if kind == b"Q":
            return
        line, text = struct.unpack(">I", content[:4])[0], content[4:]
        if kind == b"C":
            frames.begin()
            execute(cursor, line, text, frames)
            continue
        execute(cursor, line, text)
        if SETTING.match(text):
            builders.set(line, text)


def main():
    frames = Frames(sys.stdin.buffer)
    _, content = frames.next()
    target = json.loads(content.decode())

    def connect():
        connection = psycopg2.connect(**target)
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SET synchronous_commit = off")
        return cursor

    try:
        load(frames, connect)
    except Failure as failure:
        raise SystemExit("line %d: %s" % failure.args) from None


if __name__ == "__main__":
    main()
