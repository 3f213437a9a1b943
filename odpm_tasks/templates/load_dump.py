"""Run the statements of a dump, in a container that reaches PostgreSQL. Input: frames of a kind, four bytes of length, and content.

Kinds: `L` how to connect, as JSON (first); `S` a statement, `C` a COPY statement, both after four bytes of their line; `D` data of
the COPY, `E` its end; `Q` the end. Stops at the first error, with its line. Runs with Python 3.7 and newer.
"""

import json
import struct
import sys

import psycopg2


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


def main():
    frames = Frames(sys.stdin.buffer)
    _, content = frames.next()
    connection = psycopg2.connect(**json.loads(content.decode()))
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("SET synchronous_commit = off")
    while True:
        kind, content = frames.next()
        if kind == b"Q":
            return
        line, text = struct.unpack(">I", content[:4])[0], content[4:]
        try:
            if kind == b"C":
                frames.begin()
                cursor.copy_expert(text, frames, 1 << 18)
            else:
                cursor.execute(text)
        except psycopg2.Error as error:
            words = " ".join(text[:200].decode("utf-8", "replace").split())[:80]
            raise SystemExit("line %d: %s [%s]" % (line, str(error).strip().split("\n")[0], words)) from None


if __name__ == "__main__":
    main()
