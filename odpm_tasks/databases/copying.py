"""Copy, rename and remove a database together with its filestore, while Odoo runs.

A copy is made under a name of its own (`odpm.new.…`) and gets its final name last: what is half made is never taken for
whole, and the next run removes it. All functions need the project's lock, so that no other run makes or removes such names.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace as replaced
from pathlib import Path

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.databases import sql
from odpm_tasks.core.databases.names import NEW, OWN
from odpm_tasks.core.databases.snapshots import Snapshot, record, recorded
from odpm_tasks.core.text import plural
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.databases.quiet import PAUSE, failed, new_identity, quietly
from odpm_tasks.errors import DataLossError
from odpm_tasks.sources.project_names import task_container


def copy_hidden(
    access: DatabaseAccess, source: str, *, with_files: bool = True, meanwhile: Sequence[Callable[[], object]] = ()
) -> str:
    """Copy a database and its filestore to a hidden one, and return its name, which begins with `odpm.new.`.

    The filestore is linked before and after: every file that the copied database refers to was there before, or came while
    the database was copied. Running transactions are waited for; idle sessions end, new ones wait. `meanwhile`: is called in
    threads while the database is copied. Errors: ProgramError that names the transactions which run for longer than
    `TRANSACTIONS`; MachineError where the disk is full; those of `meanwhile`.
    """
    target = f"{NEW}{new_identity()}"
    facts = access.json(sql.database_facts(source))
    stored = with_files and source in access.files("list")
    try:
        if stored:
            access.files("link", source, target)
        strategy = sql.strategy(access.version, facts["size"], access.file_system)
        copied = sql.create_copy(source, target, facts["owner"], strategy)
        with ThreadPoolExecutor(len(meanwhile) or 1) as pool:
            calls = [pool.submit(call) for call in meanwhile]
            quietly(access, [source], copied, f"copy {source}")
        for call in calls:
            call.result()
        if stored:
            access.files("link", source, target)
        outcome = access.psql(f"{sql.copy_properties(source, target)}\\gexec\n")
        if not outcome.ok:
            raise failed(outcome, f"copy {source}")
    except BaseException:
        remove(access, [target])
        raise
    return target


def remove(access: DatabaseAccess, names: Iterable[str]) -> None:
    """Remove databases with their filestores; those that do not exist are no error."""
    found = list(names)
    for name in found:
        access.sql(sql.drop(name))
    if found:
        access.files("remove", *found)


def remove_leftovers(access: DatabaseAccess) -> list[str]:
    """Finish or remove what killed runs left: copies without a final name, and hidden filestores without a database.

    Their sessions are ended first. Returns the names of what was removed.
    """
    while access.sql(sql.END_OWN_SESSIONS) != "0":  # until they are gone: one may be about to commit
        time.sleep(PAUSE)
    _finish_rename(access)
    known = {row["name"]: row["comment"] or "" for row in access.json(sql.hidden_databases())}
    for name, comment in known.items():
        if (snapshot := recorded(name, comment)) and snapshot.replacement:
            _finish_replacement(access, snapshot)
    left = {name for name in known if name.startswith(NEW)}
    left |= {name for name in access.files("list") if name.startswith(OWN) and name not in known}
    if left:
        terminal.message(
            f"removing what an interrupted run left: {plural(len(left), 'unfinished copy', 'unfinished copies')}"
        )
        docker.remove_containers([task_container(access.project)])  # Odoo may still work in one of them
        discard(access, sorted(left))
    return sorted(left)


def discard(access: DatabaseAccess, names: Iterable[str]) -> None:
    """Remove hidden databases that did not get their final name, with their files, which may have it."""
    found = [*names]
    comments = (row["comment"] or "" for row in access.json(sql.hidden_databases()) if row["name"] in found)
    folders = [comment.removeprefix(_FOLDER) for comment in comments if comment.startswith(_FOLDER)]
    access.files("remove", *[name for name in folders if not exists(access, name)])
    remove(access, found)


_FOLDER = "odpm: files in "  # the comment of a hidden database whose files have the folder of that name, until it has the name, too


def publish(access: DatabaseAccess, hidden: str, name: str, comment: str = "") -> None:
    """Give a hidden copy its final name, by which Odoo finds it, and a comment.

    The files come first; a run that is killed leaves the hidden copy, and the next one removes both. Errors: DataLossError
    where the name is taken.
    """
    require_free(access, name)
    stored = access.files("list")
    if name in stored:  # files without a database: their names say their content, so that they do no harm
        access.files("link", hidden, name)
    elif hidden in stored:
        access.sql(sql.comment(hidden, f"{_FOLDER}{name}"))
        access.files("rename", hidden, name)
    _in_one(
        access,
        [hidden],
        f"name the copy {name}",
        sql.show(hidden, True),
        sql.comment(hidden, comment),
        sql.rename(hidden, name),
    )
    if name in stored:
        access.files("remove", hidden)


def replace(
    access: DatabaseAccess, hidden: str, name: str, comment: str, before: Snapshot | None, files: str = ""
) -> None:
    """Give a hidden copy the name of a database, which becomes the snapshot `before`; None: there is no such database.

    `before`: a snapshot, or one of `not_kept`, which is removed. `files`: the folder with the files of the copy, if not its own.

    The files of both are linked first, then the names are exchanged in one transaction: a run that is killed leaves the old state
    or the new one. Files that only the old one has are left to Odoo's own cleaning; until the names are exchanged, that may remove
    files which only the new one has, so they are linked once more, by the next run after a kill. Errors: those of `quietly`; the
    copy is removed.
    """
    source = files or hidden
    try:
        if before and _is_kept(before):
            access.files("link", name, before.id)
        access.files("unmark", source, name)
        access.files("link", source, name, "--replace")
        signal_changes(access, hidden, name if before else "")
        begun = before and replaced(before, replacement=source)
        hide = (
            [sql.rename(name, begun.id), sql.show(begun.id, False), sql.comment(begun.id, record(begun))]
            if begun
            else []
        )
        show = [sql.show(hidden, True), sql.rename(hidden, name), sql.comment(name, comment)]
        _in_one(access, [name], f"restore {name}", *hide, *show)
    except BaseException:
        remove(access, [hidden])
        if before and not exists(access, before.id):
            access.files("remove", before.id)
        raise
    if begun:
        _finish_replacement(access, begun)
    else:
        _link_again(access, source, name)
        access.files("remove", hidden)
    if begun and not _is_kept(begun):
        remove(access, [begun.id])


def not_kept(database: str) -> Snapshot:
    """What a database becomes that is replaced and removed."""
    return Snapshot(f"{NEW}{new_identity()}", database, "", "")


def _is_kept(before: Snapshot) -> bool:
    return not before.id.startswith(NEW)


def _finish_replacement(access: DatabaseAccess, before: Snapshot) -> None:
    """Complete the files of a database that was replaced, and of the snapshot that it became."""
    if _is_kept(before):
        access.files("link", before.database, before.id)
    _link_again(access, before.replacement, before.database)
    if before.replacement.startswith(NEW):
        access.files("remove", before.replacement)
    if _is_kept(before):
        access.sql(sql.comment(before.id, record(replaced(before, replacement=""))))


def _link_again(access: DatabaseAccess, source: str, name: str) -> None:
    """Complete the files of a database that was replaced; nothing where the folder `source` is gone."""
    if source in access.files("list"):
        access.files("link", source, name, "--replace")
        access.files("extra", source, name)


def _in_one(access: DatabaseAccess, quiet: Sequence[str], what: str, *statements: str) -> None:
    """Run statements as one transaction, while these databases have no session. Errors: those of `quietly`."""
    quietly(access, quiet, ";\n".join(["BEGIN", *statements, "COMMIT;\n"]), what)


def drop(access: DatabaseAccess, database: str) -> None:
    """Drop a database with its files, in which no transaction runs. Its name is free at once; the rest is removed even after a
    kill, by the next run. Errors: those of `quietly`.
    """
    old = f"{NEW}{new_identity()}"
    statements = [sql.rename(database, old), sql.show(old, False), sql.comment(old, f"{_FOLDER}{database}")]
    _in_one(access, [database], f"drop {database}", *statements)
    access.files("remove", database)
    remove(access, [old])


def rename(access: DatabaseAccess, source: str, target: str, *statements: str) -> None:
    """Rename a database and its folder of files; `statements` belong to the same transaction.

    The database is hidden until its files have the new name; what a killed run left is finished by the next one.
    Errors: DataLossError where the name is taken; those of `quietly`.
    """
    require_free(access, target)
    files.write(_renaming(access), json.dumps([source, target]).encode())
    try:
        access.files("link", source, target)
        _in_one(access, [source], f"rename {source}", *statements, sql.rename(source, target), sql.show(target, False))
    finally:
        _finish_rename(access)


def _renaming(access: DatabaseAccess) -> Path:
    return access.paths.odpm / "renaming.json"


def _finish_rename(access: DatabaseAccess) -> None:
    """Finish what `rename` began, or undo it where the database still has its old name."""
    text = files.read_text(_renaming(access))
    if text is None:
        return
    source, target = json.loads(text)
    if exists(access, target):
        access.files("link", source, target)
        access.sql(sql.show(target, True))
        if not exists(access, source):
            access.files("remove", source)
    else:
        access.files("remove", target)
    files.remove(_renaming(access))


# Odoo's processes compare these numbers with those that they loaded: Odoo 19 as tables, earlier ones as sequences.
_SIGNALS = r"""
SELECT coalesce(json_object_agg(sequencename, coalesce(last_value, 0)), '{}') FROM pg_sequences
WHERE schemaname = 'public' AND sequencename ~ '^(orm_signaling_|base_.*_signaling)'
"""


def signal_changes(access: DatabaseAccess, database: str, replaced: str = "") -> None:
    """Let running processes of Odoo drop what they hold of the state before: numbers in `database` rise above those in
    `replaced`, whose name it gets. It accepts connections afterwards.
    """
    numbers = access.json(_SIGNALS, replaced) if replaced else {}
    open_hidden(access, database)
    statements = []
    for sequence, number in access.json(_SIGNALS, database).items():
        above = max(int(number), int(numbers.get(sequence, 0))) + 1
        statements.append(f"SELECT setval({sql.literal(f'public.{sql.identifier(sequence)}')}, {above})")
        if sequence.startswith("orm_signaling_"):
            table = sql.identifier(sequence.removesuffix("_id_seq"))
            statements.append(f"INSERT INTO public.{table} DEFAULT VALUES")
    if statements:
        access.sql(*statements, database_name=database)


def open_hidden(access: DatabaseAccess, hidden: str) -> None:
    """Let a hidden database accept connections; Odoo still does not list it."""
    access.sql(f"ALTER DATABASE {sql.identifier(hidden)} ALLOW_CONNECTIONS true")


def exists(access: DatabaseAccess, name: str) -> bool:
    return access.sql(sql.exists(name)) != ""


def require_free(access: DatabaseAccess, name: str) -> None:
    """Check that there is no database of this name. Errors: DataLossError."""
    if exists(access, name):
        raise DataLossError(
            f"there is a database {name} already",
            where=name,
            todo=f"choose another name, or remove that one: inv db.drop -d {name}",
        )
