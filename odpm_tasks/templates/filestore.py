"""Work on the files of Odoo's databases, in a container that has Odoo's data volume, as the user who owns the files.

    python -c "$(cat filestore.py)" COMMAND ARGUMENT...

Prints one JSON object. Without a command: reads commands from standard input, each a line with a JSON list, and answers each
with a line, `{"answer": …}` or `{"error": …}`, and an empty line. Files in a filestore are named after their content and never
changed, so that a hard link is a copy. Commands that remove, rename or list folders wait for those that add files: the program of
a run that was killed ends its last command.
Runs with Python 3.7 and newer, standard library only.
"""

import errno
import fcntl
import json
import os
import shutil
import stat
import sys
import time

ROOT = "/var/lib/odoo/filestore"
LOCKS = {
    "link": fcntl.LOCK_SH,
    "unmark": fcntl.LOCK_SH,
    "extra": fcntl.LOCK_SH,
}  # what adds files; what removes them waits for it
LOCK_WAIT = 60.0  # seconds


def path(name):
    if not name or "/" in name or name in (".", ".."):
        raise SystemExit("not the name of a database: %r" % name)
    return os.path.join(ROOT, name)


def link(source, target, replace=False):
    """Link every file of one filestore into another one, which may have some of them; returns how many were new.

    `replace`: a file of another size replaces the one in the target. A file that Odoo removes meanwhile is left out.
    """
    new = 0
    try:
        os.mkdir(target, stat.S_IMODE(os.stat(source).st_mode))
        known = frozenset()
    except FileExistsError:
        known = frozenset(os.listdir(target))
    except FileNotFoundError:
        if os.path.isdir(source):  # the folder `filestore` itself is missing, or vanished
            raise
        return new
    for entry in entries(source):
        destination = os.path.join(target, entry.name)
        if entry.is_dir(follow_symlinks=False):
            new += link(entry.path, destination, replace)
        elif entry.is_file(follow_symlinks=False):
            if entry.name not in known:
                new += put(entry.path, destination)
            elif replace and differ(entry, destination):
                temporary = destination + ".odpm-new"
                if put(entry.path, temporary):
                    os.replace(temporary, destination)
                    new += 1
    return new


def entries(folder):
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def differ(entry, other):
    try:
        return entry.stat(follow_symlinks=False).st_size != os.lstat(other).st_size
    except FileNotFoundError:
        return False


def put(source, destination):
    """Link a file, or copy it where the file system has no (more) links for it."""
    try:
        os.link(source, destination, follow_symlinks=False)
    except FileExistsError:
        return 0
    except FileNotFoundError:
        return 0
    except OSError as error:
        if error.errno not in (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.ENOTSUP, errno.ENOSYS):
            raise
        temporary = destination + ".odpm-copy"
        shutil.copy2(source, temporary)
        os.replace(temporary, destination)
    return 1


def size(folder):
    """Number of files, their bytes, and the bytes that no other filestore has."""
    files = total = own = 0
    for entry in entries(folder):
        if entry.is_dir(follow_symlinks=False):
            inner = size(entry.path)
            files, total, own = files + inner[0], total + inner[1], own + inner[2]
        elif entry.is_file(follow_symlinks=False) and os.path.basename(os.path.dirname(folder)) != "checklist":
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            files, total = files + 1, total + found.st_size
            own += found.st_size if found.st_nlink == 1 else 0
    return files, total, own


def mark_extra(kept, folder):
    """Tell Odoo's own cleaning which files of `folder` are not in `kept`: it removes those that no attachment has."""
    extra = 0
    for part in entries(folder):
        if part.name == "checklist" or not part.is_dir(follow_symlinks=False):
            continue
        there = {entry.name for entry in entries(os.path.join(kept, part.name))}
        for entry in entries(part.path):
            if entry.name not in there and entry.is_file(follow_symlinks=False):
                marks = os.path.join(folder, "checklist", part.name)
                os.makedirs(marks, exist_ok=True)
                with open(os.path.join(marks, entry.name), "ab"):
                    extra += 1
    return extra


def unmark(kept, folder):
    """Remove the marks for Odoo's own cleaning from the files of `folder` that are in `kept`."""
    removed = 0
    for part in entries(os.path.join(folder, "checklist")):
        there = {entry.name for entry in entries(os.path.join(kept, part.name))}
        for entry in entries(part.path):
            if entry.name in there:
                try:
                    os.unlink(entry.path)
                    removed += 1
                except FileNotFoundError:
                    pass
    return removed


def main(command, *names):
    if command == "list":
        try:
            found = sorted(os.listdir(ROOT))
        except FileNotFoundError:
            found = []
        chosen = names[1:] or found
        return {name: size(path(name)) if names else [] for name in found if name in chosen}
    if command == "link":
        os.makedirs(ROOT, exist_ok=True)
        return {"new": link(path(names[0]), path(names[1]), "--replace" in names)}
    if command == "unmark":
        return {"unmarked": unmark(path(names[0]), path(names[1]))}
    if command == "extra":
        return {"extra": mark_extra(path(names[0]), path(names[1]))}
    if command == "rename":
        try:
            os.rename(path(names[0]), path(names[1]))
        except FileNotFoundError:
            return {"renamed": False}
        return {"renamed": True}
    if command == "remove":
        for name in names:
            shutil.rmtree(path(name), ignore_errors=True)
        left = [name for name in names if os.path.lexists(path(name))]
        if left:
            raise SystemExit("cannot remove %s" % ", ".join(path(name) for name in left))
        return {}
    raise SystemExit("unknown command %r" % command)


def run(command, *names):
    try:
        locked = None if command == "list" and names else lock(LOCKS.get(command, fcntl.LOCK_EX))
        try:
            return main(command, *names)
        finally:
            if locked is not None:
                os.close(locked)
    except OSError as failure:
        raise SystemExit("%s: %s" % (failure.strerror, failure.filename or ROOT)) from None


def lock(kind):
    """Lock the folder of all filestores; wait for `LOCK_WAIT` at most. Returns a file descriptor that holds the lock; None where
    there is no folder yet.
    """
    try:
        folder = os.open(ROOT, os.O_RDONLY)
    except OSError:
        return None
    end = time.monotonic() + LOCK_WAIT
    while True:
        try:
            fcntl.flock(folder, kind | fcntl.LOCK_NB)
            return folder
        except OSError as failure:
            if failure.errno not in (errno.EAGAIN, errno.EACCES) or time.monotonic() > end:
                return folder
        time.sleep(0.02)


def serve():
    for line in sys.stdin:
        try:
            answer = {"answer": run(*json.loads(line))}
        except SystemExit as failure:
            answer = {"error": str(failure)}
        print(json.dumps(answer), end="\n\n", flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(run(*sys.argv[1:])))
    else:
        serve()
