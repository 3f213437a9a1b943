"""Copy the files of an archive into a folder of Odoo's data volume, in a container that has both.

    python -c "$(cat store_files.py)" ARCHIVE FOLDER UID GID

Standard input: the identity of the archive (`size` and `head`, the SHA-1 of its first bytes) as a line of JSON, one line for each file
(`path`, `offset`, `length`, `size`, `deflated`, and its checksums `sha1` and `crc`, empty or null where there is none), and an empty
line. The end of the input ends the program.
Standard output: `ready` when it is that archive, the bytes that were written, at intervals, and `done`. The exit code is 3 for a file
whose content is damaged.
Runs with Python 3.7 and newer, standard library only.
"""

import hashlib
import json
import os
import sys
import threading
import time
import zlib

HEAD = 1 << 16
BLOCK = 1 << 18
INTERVAL = 0.2  # seconds


def identity(file):
    return {"size": os.fstat(file).st_size, "head": hashlib.sha1(os.pread(file, HEAD, 0)).hexdigest()}


def content(file, member):
    """The content of a file in blocks, at most one more than its size."""
    position, end, left = member["offset"], member["offset"] + member["length"], member["size"]
    inflate = zlib.decompressobj(-15) if member["deflated"] else None
    while position < end and left >= 0:
        block = os.pread(file, min(BLOCK, end - position), position)
        if not block:
            return
        position += len(block)
        while inflate and block and left >= 0:
            part = inflate.decompress(block, BLOCK)
            block = inflate.unconsumed_tail
            left -= len(part)
            yield part
        if not inflate:
            left -= len(block)
            yield block


def store(file, member, report):
    digest, crc, written = hashlib.sha1(), 0, 0
    if os.path.dirname(member["path"]):
        os.makedirs(os.path.dirname(member["path"]), exist_ok=True)
    with open(member["path"], "xb", buffering=0) as target:
        try:
            for block in content(file, member):
                if member["sha1"]:
                    digest.update(block)
                elif member["crc"] is not None:
                    crc = zlib.crc32(block, crc)
                written += len(block)
                if written > member["size"]:
                    break
                target.write(block)
                report(len(block))
        except zlib.error:
            written = -1
    wrong = digest.hexdigest() != member["sha1"] if member["sha1"] else member["crc"] not in (None, crc)
    if wrong or written != member["size"]:
        print(member["path"], file=sys.stderr)
        raise SystemExit(3)


class Report:
    def __init__(self):
        self._bytes, self._shown = 0, time.monotonic()

    def __call__(self, count):
        self._bytes += count
        if time.monotonic() - self._shown >= INTERVAL:
            self.show()

    def show(self):
        print(self._bytes, flush=True)
        self._bytes, self._shown = 0, time.monotonic()


def end_with_input():
    def wait():
        while os.read(0, BLOCK):  # not sys.stdin: the exit of the program would wait for its lock
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main(archive, folder, user, group):
    file = os.open(archive, os.O_RDONLY)
    os.setgroups([])
    os.setgid(int(group))
    os.setuid(int(user))
    if json.loads(sys.stdin.buffer.readline().decode()) != identity(file):
        raise SystemExit("another file")
    print("ready", flush=True)
    members = []
    for line in iter(sys.stdin.buffer.readline, b"\n"):
        if not line:
            raise SystemExit(1)
        members.append(json.loads(line.decode()))
    end_with_input()
    os.umask(0o022)
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    report = Report()
    try:
        for member in members:
            store(file, member, report)
    except OSError as error:
        raise SystemExit("%s: %s" % (error.filename or folder, error.strerror)) from None
    report.show()
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
