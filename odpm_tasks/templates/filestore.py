"""Work on the files of Odoo's databases, in a container that has Odoo's data volume, as the user who owns the files.

    python -c "$(cat filestore.py)" COMMAND ARGUMENT...

Prints one JSON object. Files in a filestore are named after their content and never changed, so that a hard link is a copy.
Runs with Python 3.7 and newer, standard library only.
"""

import json
import os
import sys

ROOT = "/var/lib/odoo/filestore"


def path(name):
    if not name or "/" in name or name in (".", ".."):
        raise SystemExit("not the name of a database: %r" % name)
    return os.path.join(ROOT, name)


def entries(folder):
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


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


def main(command, *names):
    if command == "list":
        try:
            found = sorted(os.listdir(ROOT))
        except FileNotFoundError:
            found = []
        return {name: size(path(name)) if names == ("--sizes",) else [] for name in found}
    raise SystemExit("unknown command %r" % command)


if __name__ == "__main__":
    try:
        print(json.dumps(main(*sys.argv[1:])))
    except OSError as failure:
        raise SystemExit("%s: %s" % (failure.strerror, failure.filename or ROOT)) from None
