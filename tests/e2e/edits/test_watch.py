"""`inv watch` on a running stack: each kind of edit, the action, and what Odoo serves afterwards."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.harness import Bench, docker, get, git

pytestmark = pytest.mark.docker

OWN = "addons/stack_info"
CONTROLLER, VIEW, MANIFEST, SCRIPT, STYLE, CATEGORIES, FRENCH = (
    f"{OWN}/{name}"
    for name in (
        "controllers/main.py",
        "views/stack_info.xml",
        "__manifest__.py",
        "static/src/watched.js",
        "static/src/watched.scss",
        "data/res.partner.category.csv",
        "i18n/fr.po",
    )
)
DEPENDENCY = ".odpm/src/partner-contact/partner_firstname/models/res_partner.py"
TITLE = "What this Odoo is made of"
METHOD = "    def watched(self):\n        return 'first'\n\n"
BUNDLE = '"assets": {"stack_info.assets": ["stack_info/static/src/*"]}, "data": ["data/res.partner.category.csv", '
TRANSLATION = """\
msgid ""
msgstr "Content-Type: text/plain; charset=UTF-8\\n"

#. module: stack_info
#: model_terms:ir.ui.view,arch_db:stack_info.page
msgid "add-ons are installed; these are not Odoo's own:"
msgstr "modules sont installés"
"""


class Watching:
    """A running `inv watch`; `said` waits for its next lines."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        env = {**bench.environment(), "PYTHONUNBUFFERED": "1"}
        self.log = bench.root.parent / "watch.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "invoke", "watch"],
                cwd=bench.root, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._read = 0
        self.said("watching 1 add-on")

    def said(self, last: str, timeout: float = 300) -> str:
        """The output since the last call, once it contains `last` (a pattern)."""
        deadline = time.monotonic() + timeout
        while True:
            new = self.unread()
            if re.search(last, new) and new.endswith("\n"):
                self._read += len(new)
                return new
            assert self.process.poll() is None, f"the watch has ended: {new}"
            assert time.monotonic() < deadline, f"not seen: {last}\n{new}"
            time.sleep(0.05)

    def unread(self) -> str:
        """The output since the last call of `said`."""
        return self.log.read_text(encoding="utf-8")[self._read :]

    def edited(self, path: str, old: str, new: str, last: str = "done ") -> str:
        """Replace a text of a file, and wait for the outcome."""
        file = self.bench.root / path
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        assert old in text
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace(old, new, 1) if old else new, encoding="utf-8")
        return self.said(last)

    def ended(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def restored(bench: Bench) -> Iterator[None]:
    """The files of the project and of the dependency as they were."""
    kept = (bench.root / DEPENDENCY).read_bytes()
    try:
        yield
    finally:
        git("checkout", "-q", "--", ".", cwd=bench.root)
        git("clean", "-qfd", "addons", "requirements.txt", cwd=bench.root)
        (bench.root / DEPENDENCY).write_bytes(kept)


@pytest.fixture(scope="module")
def watch(developer: Bench) -> Iterator[Watching]:
    developer.ok("up")
    with restored(developer):
        watching = Watching(developer)
        yield watching
        watching.process.kill()
        watching.process.wait()
    developer.sql("UPDATE res_lang SET active = false WHERE code = 'fr_FR'", "project")
    developer.ok("up", "-u", "stack_info")


def page(bench: Bench) -> str:
    return get(bench.url("/stack"))[1]


def bundle(bench: Bench, kind: str) -> str:
    """The script (`js`) or the style sheet (`css`) of the bundle that the page names, as Odoo serves it."""
    address = re.search(rf'"(/web/assets/[^"]*stack_info\.assets[^"]*\.{kind})"', page(bench))
    assert address is not None
    return get(bench.url(address[1]))[1]


def test_each_kind_of_edit_has_its_action_and_is_served(watch: Watching, developer: Bench) -> None:
    said = watch.edited(CONTROLLER, TITLE, "Made of")
    assert re.search(r"main\.py +reload +Python: code is loaded when Odoo starts\n", said)
    assert "Made of" in page(developer)

    said = watch.edited(DEPENDENCY, "    firstname = ", f"{METHOD}    firstname = ")
    assert re.search(r"partner_firstname/models/res_partner\.py +reload +Python: code", said)
    assert developer.call("project", "res.partner", "watched", []) == "first"

    watch.edited(SCRIPT, "", "window.watched = 1;\n")
    watch.edited(STYLE, "", ".watched { width: 1px * 2; }\n")
    said = watch.edited(CATEGORIES, "", "id,name\nwatched,Watched\n", "name it")
    assert "nothing  data: __manifest__.py does not name it" in said
    said = watch.edited(MANIFEST, '"data": [', BUNDLE)
    assert re.search(r"-u stack_info, reload +manifest: data, assets differs", said)
    known = "SELECT count(*) FROM ir_model_data WHERE module = 'stack_info' AND name = 'watched'"
    assert developer.sql(known, "project") == "1"

    watch.edited(VIEW, "add-ons are installed", "modules are installed")
    said = watch.edited(VIEW, "<head>", '<head><t t-call-assets="stack_info.assets"/>')
    assert re.search(r"-u stack_info +data: loaded into the database", said)
    assert "modules are installed" in page(developer)
    assert "window.watched=1" in bundle(developer, "js")
    assert "width: 2px" in bundle(developer, "css")

    said = watch.edited(SCRIPT, "1", "2")
    assert re.search(r"clear assets +JavaScript: bundled, and the bundle is cached\ndone +clear assets", said)
    assert "window.watched=2" in bundle(developer, "js")
    said = watch.edited(STYLE, "2", "4")
    assert re.search(r"clear assets +style sheet: bundled", said)
    assert "width: 4px" in bundle(developer, "css")

    developer.sql("UPDATE res_lang SET active = true WHERE code = 'fr_FR'", "project")
    watch.edited(VIEW, "modules are installed", "add-ons are installed")
    said = watch.edited(FRENCH, "", TRANSLATION)
    assert re.search(r"-u stack_info, reload +translation: stored in the database", said)
    stored = "SELECT arch_db->>'fr_FR' FROM ir_ui_view WHERE key = 'stack_info.page'"
    assert "modules sont installés" in developer.sql(stored, "project")


def test_edits_of_the_description_name_what_up_would_change(watch: Watching, developer: Bench) -> None:
    required = '"requirements": ["six"],\n  "dependencies"'
    said = watch.edited("odpm.json", '"dependencies"', required, "next: ")
    assert re.search(r"odpm\.json +inv up +description: the plan changes: python\.lock", said)
    watch.edited("odpm.json", required, '"dependencies"', "the plan has no changes")
    said = watch.edited("requirements.txt", "", "six\n", "requirements")
    assert "requirements.txt  nothing  description: of the project, and not read; odpm.json names" in said
    said = watch.edited("odpm.json", '"postgres": "15"', '"postgres": 15.x', "odpm.json")
    assert re.search(r"odpm\.json +error +description: ", said)
    watch.edited("odpm.json", "15.x", '"15"', "no changes")


def test_errors_are_named_with_file_and_line_and_the_watch_goes_on(watch: Watching, developer: Bench) -> None:
    said = watch.edited(CONTROLLER, "class StackInfo", "def x(:\n\n\nclass StackInfo", "error")
    assert re.search(r"controllers/main\.py:7 +error +Python: invalid syntax", said)
    watch.edited(CONTROLLER, "def x(:", "from odoo.http import nonsense", "next: ")
    watch.edited(CONTROLLER, "from odoo.http import nonsense\n\n\n", "", "done ")
    said = watch.edited(VIEW, 'res_model">ir.module.module', 'res_model">no.such.model', "next: ")
    assert "Invalid model name" in said
    assert re.search(r"where: addons/stack_info/views/stack_info\.xml:16\n", said)
    assert "-u stack_info" in watch.edited(VIEW, "no.such.model", "ir.module.module")
    assert get(developer.url("/stack"))[0] == 200


def test_a_checkout_of_a_branch_is_one_action(watch: Watching, developer: Bench) -> None:
    """Of git, which writes and removes many files; and of a slow git, which holds its lock while it writes them."""
    root, other = developer.root, developer.root.parent / "other"
    git("worktree", "add", "-q", "-b", "parts", str(other), cwd=root)
    write_parts(other)
    git("add", "-A", cwd=other)
    git("commit", "-qm", "Parts", cwd=other)
    git("worktree", "remove", "--force", str(other), cwd=root)
    once = rf"60 files as {OWN}/lib0/part0\.py +reload +Python: [^\n]*\ndone +reload +[\d.]+ s\n$"
    for branch in ("parts", "main"):
        git("checkout", "-q", branch, cwd=root)
        assert re.match(once, watch.said("done "))

    lock = root / ".git/index.lock"
    lock.touch()
    write_parts(root, 0.01)
    time.sleep(1)
    assert "lib" not in watch.unread()
    lock.unlink()
    assert re.match(once, watch.said("done "))


def write_parts(root: Path, pause: float = 0) -> None:
    for number in range(60):
        path = root / OWN / f"lib{number % 6}/part{number}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"PART = {number}\n", encoding="utf-8")
        time.sleep(pause)


def test_files_are_renamed_and_removed_and_those_of_editors_are_no_edits(watch: Watching, developer: Bench) -> None:
    own, view = developer.root / OWN, developer.root / VIEW
    for name in (".#main.py", "#main.py#", "main.py~", ".main.py.swp", "4913", ".main.py.k2Xa8fQz", "main.py.tmp"):
        (own / "controllers" / name).write_text("def (", encoding="utf-8")
    (own / "__pycache__").mkdir(exist_ok=True)
    (own / "__pycache__/main.cpython-311.pyc").write_bytes(b"")
    saved = own / "controllers/.main.py.tmp"  # as an editor that replaces the file by a new one
    saved.write_text((own / "controllers/main.py").read_text(encoding="utf-8") + "\nSAVED = 1\n", encoding="utf-8")
    saved.replace(own / "controllers/main.py")
    assert re.match(rf"{OWN}/controllers/main\.py +reload +Python: [^\n]*\ndone +reload [^\n]*\n$", watch.said("done "))

    view.rename(view.with_name("renamed.xml"))
    said = watch.said("renamed")
    assert re.search(r"stack_info\.xml +error +data: __manifest__\.py names it, and it does not exist", said)
    assert re.search(r"renamed\.xml +nothing +data: __manifest__\.py does not name it", said)
    said = watch.edited(MANIFEST, "views/stack_info.xml", "views/renamed.xml")
    assert re.search(r"__manifest__\.py +-u stack_info +manifest: data differs", said)
    assert get(developer.url("/stack"))[0] == 200


def test_it_starts_an_odoo_that_has_ended_and_ends_without_leaving_anything(watch: Watching, developer: Bench) -> None:
    odoo = str(developer.containers()["odoo"]["Id"])
    docker("stop", odoo)
    assert re.search(r"done +restart ", watch.edited(CONTROLLER, "Made of", "Started"))
    assert "Started" in page(developer)
    second = developer.inv("watch")
    assert second.code == 6
    assert f"process {watch.process.pid} (inv watch" in second.err
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        ending = watch if number == signal.SIGTERM else Watching(developer)
        assert ending.ended(number) == 130
        assert re.fullmatch(r"odpm: interrupted[^\n]*\n", ending.unread())
        assert not Path(developer.root, ".odpm/watch.lock.holder").exists()
        assert subprocess.run(["pgrep", "-g", str(ending.process.pid)], check=False).returncode == 1


def test_it_refuses_what_is_no_running_developer_stack(developer: Bench) -> None:
    ran = developer.inv("watch", "-d", "projec")
    assert (ran.code, "the nearest is project" in ran.err) == (4, True)
