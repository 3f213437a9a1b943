"""The conversion of other tools' projects: one golden case per folder, and the single rules."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.converters import kinds
from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.init import doodba, git_aggregator, odoo_devops_tools
from odpm_tasks.core.init.conversion import (
    Conversion,
    conf,
    excerpt,
    excerpt_url,
    literal,
    read_ref,
    read_url,
    settings_needed,
    variables,
    with_defaults,
)
from odpm_tasks.core.init.new_project import ProjectDraft, completed, manifest_text
from odpm_tasks.core.init.remarks import Importance, Remark, action, note, ordered, report, short_report
from odpm_tasks.core.init.requirements import packages, requirements
from odpm_tasks.core.manifest.reader import problems, read_manifest
from odpm_tasks.errors import DescriptionError
from tests.unit.init.projects import GOLDEN, copied

COMMIT = "6054de2c4e669f85cec380da90d746061967dc83"


@pytest.mark.parametrize("case", sorted(path.name for path in GOLDEN.iterdir()))
def test_whole_project(case: str, tmp_path: Path, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copied(GOLDEN / case, tmp_path / "project"))
    converted = kinds.convert(".", "").conversion
    text = manifest_text(completed(converted.draft), 2)
    assert text == (GOLDEN / case / "odpm.json").read_text(encoding="utf-8")
    lines = "".join(f"{line}\n" for line in converted.remarks)
    assert lines == (GOLDEN / case / "not_converted.txt").read_text(encoding="utf-8")
    for schema in (1, 2):
        errors, _ = problems(manifest_text(completed(converted.draft), schema), lambda name: None)
        assert errors == ()


@pytest.mark.parametrize("case", sorted(path.name for path in GOLDEN.iterdir()))
def test_no_secret_is_converted_or_shown(case: str, tmp_path: Path, clean: Path) -> None:
    converted = kinds.convert(str(copied(GOLDEN / case, tmp_path / "project")), "").conversion
    warning = manifest_text(completed(converted.draft), 2) + "\n".join(converted.remarks)
    for secret in ("hunter2", "s3cret", "tiger", "ghp_0123456789abcdef", "topsecret"):
        assert secret not in warning


def test_both_formats_describe_the_same_stack(tmp_path: Path, clean: Path) -> None:
    draft = completed(kinds.convert(str(copied(GOLDEN / "doodba", tmp_path / "project")), "").conversion.draft)
    flat, nested = (
        read_manifest(manifest_text(draft, schema), {"GITHUB_TOKEN": "x"}.get).manifest for schema in (1, 2)
    )
    assert flat.dependencies == tuple(replace(link, merges=()) for link in nested.dependencies)
    assert (flat.platform, flat.requirements, flat.odoo_conf) == (
        replace(nested.platform, merges=()),
        nested.requirements,
        nested.odoo_conf,
    )
    assert (flat.python, flat.codename, flat.postgres) == (nested.python, nested.codename, nested.postgres)
    assert nested.system_packages
    assert not flat.system_packages


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ODOO_VERSION", "${ODOO_VERSION}"),
        ("${ODOO_VERSION}", "${ODOO_VERSION}"),
        ("${A:-b}/$C/d", "${A:-b}/${C}/d"),
        ("a$$b", "a$$b"),
        ("$$NAME", "$$NAME"),
        ("5$ and $1", "5$ and $1"),
        ("", ""),
    ],
)
def test_variables(text: str, expected: str) -> None:
    assert variables(text) == expected


def test_a_known_value_becomes_the_default_of_the_variable() -> None:
    text = with_defaults("${ODOO_VERSION}-fix ${OTHER}", {"ODOO_VERSION": "18.0"})
    assert text == "${ODOO_VERSION:-18.0}-fix ${OTHER}"


@pytest.mark.parametrize("text", ["^shop$", "a$$b", "${NAME}", "5$", "", "${A:-b}"])
def test_a_literal_is_read_unchanged(text: str) -> None:
    assert expand(literal(text), lambda name: None, "") == text


@pytest.mark.parametrize(
    ("ref", "branch", "commit", "problem"),
    [
        ("18.0", "18.0", "", ""),
        ("refs/heads/18.0-fix", "18.0-fix", "", ""),
        ("refs/tags/v1", "v1", "", ""),
        (COMMIT.upper(), "", COMMIT, ""),
        ("5f3c2d1", "", "", "abbreviated"),
        ("deadbeef", "deadbeef", "", ""),  # without a digit it is probably a name
        ("20240131", "20240131", "", ""),
        ("refs/pull/12/head", "", "", "not a branch"),
        ("${ODOO_VERSION}", "${ODOO_VERSION}", "", ""),
        ("", "", "", ""),
    ],
)
def test_refs(ref: str, branch: str, commit: str, problem: str) -> None:
    found = read_ref(ref)
    assert found[:2] == (branch, commit)
    assert problem in found[2]
    assert bool(problem) == bool(found[2])


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/OCA/web.git",
        "git@github.com:OCA/web.git",
        "ssh://git@github.com/OCA/web.git",
        "https://${TOKEN}@github.com/OCA/web.git",
        "https://oauth2:${TOKEN}@gitlab.com/a/b.git",
        "https://me:${TOKEN}@gitlab.com/a/b.git",
        "https://${TOKEN}:x-oauth-basic@github.com/a/b.git",
        "https://git@github.com/a/b.git",
    ],
)
def test_an_address_without_a_secret_is_unchanged(url: str) -> None:
    assert read_url(url) == (url, "")


@pytest.mark.parametrize(
    "user", ["ghp_abc", "me:pw", "me:${PW:-pw}", "${A}:pw", "oauth2:glpat", "pre${TOKEN}", "me:${A}pw", "a@b:pw"]
)
def test_a_secret_in_an_address_is_removed_with_a_warning(user: str) -> None:
    url, warning = read_url(f"https://{user}@git.example.org/a/b.git")
    assert url == "https://git.example.org/a/b.git"
    assert url in warning
    assert user not in warning


def test_git_plus_ssh_becomes_ssh() -> None:
    assert read_url("git+ssh://git@github.com/a/b.git")[0] == "ssh://git@github.com/a/b.git"


def test_requirements() -> None:
    lines = ["a==1", "  # no", "", "b ; python_version < '3.12'  # why", "-r other.txt", "c @ https://x/c.whl", "d=1"]
    kept, skipped = requirements(lines, "pip.txt")
    assert kept == ["a==1", "b ; python_version < '3.12'", "c @ https://x/c.whl"]
    assert [line.split(": ")[1] for line in skipped] == [
        "-r other.txt",
        "'d=1' is not a requirement like `name==1.2`",
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("c @ https://x/c-1.tar.gz", "only a wheel"),
        ("https://x/c-1-py3-none-any.whl", "needs the name"),
        ("c @ https://me:s3cret@x/c-1-py3-none-any.whl", "contains a login"),
        ("c @ https://x/c-1-py3-none-any.whl?token=s3cret", "has a query"),
    ],
)
def test_requirements_at_addresses_are_lost_with_the_reason_of_the_lock(line: str, reason: str) -> None:
    kept, (remark,) = requirements([line], "pip.txt")
    assert kept == []
    assert reason in remark
    assert "s3cret" not in remark


def test_packages() -> None:
    assert packages("# none\nbb aa=1.2\nbb\nnot/one\n", "apt.txt") == (
        ["bb", "aa=1.2"],
        ["apt.txt: not/one: is not the name of a Debian package"],
    )


def test_options_that_are_not_converted_are_listed_without_their_value() -> None:
    options = {"workers": "2", "db_password": "x1", "admin_passwd": "x2", "smtp_password": "x3", "gevent_port": "1"}
    kept, skipped = conf({"options": {**options, "smtp_ssl_key": "${KEY}", "api_key": "${KEY}"}}, "f")
    assert kept == {"options": {"workers": "2", "smtp_ssl_key": "${KEY}", "api_key": "${KEY}"}}
    assert [line.split(": ")[1] for line in skipped] == ["db_password", "admin_passwd", "smtp_password", "gevent_port"]
    assert not any(secret in line for line in skipped for secret in ("x1", "x2", "x3"))


def test_the_connection_to_the_database_is_not_converted() -> None:
    """The job runner of queue_job uses Odoo's own connection; variables of libpq are those of the other tool."""
    job = {"channels": "root:4", "jobrunner_db_host": "db", "jobrunner_db_password": "${PGPASSWORD}"}
    kept, skipped = conf({"queue_job": job, "options": {"log_db": "${PGDATABASE:-prod}"}}, "f")
    assert kept == {"queue_job": {"channels": "root:4"}}
    assert [line.split(": ")[1] for line in skipped] == ["jobrunner_db_host", "jobrunner_db_password", "log_db"]


def test_unset_variables_are_listed_once() -> None:
    draft = ProjectDraft(
        platform="https://${A}@x.y/o.git", dependencies=("https://${A}@x.y/z.git ${B:-1} ", "https://${C}@x.y/w")
    )
    lines = settings_needed(draft, {"C": "set"})
    assert [line.split(":")[0] for line in lines] == ["${A}"]


def test_an_excerpt_is_one_short_line_without_passwords() -> None:
    assert excerpt("git fetch https://me:pw@x.y/z.git\n  && true") == "git fetch https://***@x.y/z.git && true"
    assert len(excerpt("x" * 500)) == 100


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("git+https://x.y/a/tool.git@1.0#egg=my_tool", "my_tool @ git+https://x.y/a/tool.git@1.0"),
        (
            "-e git+https://x.y/a/tool.git#egg=tool&subdirectory=src",
            "tool @ git+https://x.y/a/tool.git#subdirectory=src",
        ),
        ("tool @ git+https://x.y/a/tool.git@main", "tool @ git+https://x.y/a/tool.git@main"),
        ("git+https://x.y/a/tool.git@feature/x", "tool @ git+https://x.y/a/tool.git@feature/x"),
        ("git+ssh://git@x.y/a/tool.git", "tool @ git+ssh://git@x.y/a/tool.git"),
        ("git+https://github.com/OCA/openupgradelib.git@master#egg=openupgradelib", "openupgradelib"),
    ],
)
def test_a_package_from_git_has_a_name(line: str, kept: str) -> None:
    assert requirements([line], "pip.txt")[0] == [kept]


def test_the_login_of_a_package_is_not_converted() -> None:
    lines = ["git+https://me:s3cret@x.y/a/tool.git", "b @ git+https://s3cret@x.y/b@1.0#subdirectory=b"]
    kept, skipped = requirements(lines, "pip.txt")
    assert kept == ["tool @ git+https://x.y/a/tool.git", "b @ git+https://x.y/b@1.0#subdirectory=b"]
    assert [line.importance for line in ordered(skipped) if "login" in line] == [Importance.ACTION] * 2
    assert not any("s3cret" in line for line in ordered(skipped))


def test_remarks_are_ordered_and_merged() -> None:
    notes = [note(f"selection {number}", "{} selections") for number in range(5)]
    lines = ordered([*notes, note("depth"), action("move it"), "lost", "lost", Remark("lost too")])
    assert lines == ("lost", "lost too", "move it", *notes, "depth")
    shown, omitted = short_report(lines)
    assert shown == [
        "not converted (2):", "  lost", "  lost too", "to do (1):", "  move it", "different, nothing to do (6):",
        "  5 selections", "  depth",
    ]  # fmt: skip
    assert omitted == 0
    assert short_report(lines, most=1) == (["not converted (2):", "  lost"], 4)
    assert report(lines).count("selection ") == 5


# --- git-aggregator ----------------------------------------------------------------------------------------------


def repos(*merges: str, folder: str = "./web", url: str = "https://github.com/OCA/web.git", **keys: object) -> str:
    return json.dumps({folder: {"remotes": {"oca": url}, "merges": list(merges), **keys}})


def aggregated(text: str, odoo: str = "", **env: str) -> Conversion:
    return git_aggregator.convert(text, "repos.yaml", odoo, env)


def test_the_odoo_version_as_a_branch_gives_a_link_without_branch() -> None:
    for form in ("$ODOO_VERSION", "${ODOO_VERSION}"):
        converted = aggregated(repos(f"oca {form}"), odoo="17.0")
        assert converted == Conversion(ProjectDraft(odoo="17.0", dependencies=("https://github.com/OCA/web.git",)))


def test_the_version_is_that_of_the_platform_then_the_common_one_then_empty() -> None:
    two = json.loads(repos("oca 17.0")) | json.loads(repos("oca 16.0", folder="./src/odoo"))
    assert aggregated(json.dumps(two)).draft.odoo == "16.0"
    assert aggregated(repos("oca 17.0")).draft.odoo == "17.0"
    assert aggregated(repos("oca main")).draft.odoo == ""
    assert aggregated(repos("oca $ODOO_VERSION"), ODOO_VERSION="15.0").draft.odoo == "15.0"
    assert aggregated(repos("oca 17.0"), odoo="18.0").draft.odoo == "18.0"


@pytest.mark.parametrize("url", ["https://github.com/OCA/OCB.git", "git@github.com:acme/odoo.git", "https://x.y/ocb/"])
def test_the_platform_is_detected_by_its_repository(url: str) -> None:
    converted = aggregated(repos("oca 17.0", folder="./src/core", url=url))
    assert converted.draft.platform == f"{url} 17.0"
    assert converted.draft.dependencies == ()


@pytest.mark.parametrize(
    ("merge", "kept"),
    [
        ("oca refs/pull/5/head", ("#5",)),
        ("oca refs/merge-requests/5/head", ("refs/merge-requests/5/head",)),
        ("mine refs/pull/5/head", ("https://x.y/web.git #5",)),
        ("mine fix", ("https://x.y/web.git fix",)),
        ("oca fix", ("refs/heads/fix",)),
        ("mine $ODOO_VERSION", ("https://x.y/web.git",)),
        ("oca 17.0", ()),  # the same as the first
        ("mine 5f3c2d1", ()),
        (f"mine {COMMIT}", ()),
        ("mine ../../x:y", ()),
        ("nobody fix", ()),
    ],
)
def test_a_further_merge(merge: str, kept: tuple[str, ...]) -> None:
    text = json.loads(repos("oca 17.0", merge))
    text["./web"]["remotes"]["mine"] = "https://x.y/web.git"
    converted = aggregated(json.dumps(text), odoo="17.0")
    assert converted.draft.dependencies == ("https://github.com/OCA/web.git 17.0",)
    assert converted.draft.merges.get("https://github.com/OCA/web", ()) == kept
    assert bool(converted.not_converted) == (not kept and merge != "oca 17.0")


def test_a_login_in_a_merge_is_removed() -> None:
    text = json.loads(repos("oca 17.0", "mine fix"))
    text["./web"]["remotes"]["mine"] = "https://u:s3cret@x.y/web.git"
    converted = aggregated(json.dumps(text))
    assert converted.draft.merges == {"https://github.com/OCA/web": ("https://x.y/web.git fix",)}
    assert "s3cret" not in "".join(converted.remarks)


def test_a_duplicate_repository_becomes_one_dependency() -> None:
    two = json.loads(repos("oca 17.0")) | json.loads(repos("oca 17.0", folder="./again"))
    assert len(aggregated(json.dumps(two)).draft.dependencies) == 1


@pytest.mark.parametrize(
    "text", ["a: [", "- a\n- b\n", "just text", "", "!!python/object:os.system {}", "a: &x [*x]\nb: [*x"]
)
def test_another_file_is_refused(text: str) -> None:
    with pytest.raises(DescriptionError, match=r"YAML|does not contain repositories"):
        aggregated(text)


@pytest.mark.parametrize(
    "entry", [None, [], "x", {}, {"remotes": None}, {"remotes": {"a": ""}, "merges": ["a 1"]}, {"merges": [1]}]
)
def test_an_invalid_entry_is_not_converted(entry: object) -> None:
    converted = aggregated(json.dumps({"./web": entry}), odoo="17.0")
    assert converted.draft.dependencies == ()
    assert converted.not_converted[0].startswith("repos.yaml: web: ")


# --- doodba ------------------------------------------------------------------------------------------------------


def convert_doodba(
    odoo: str = "", names: tuple[str, ...] = (), env: dict[str, str] | None = None, **texts: str
) -> Conversion:
    paths = {"repos": doodba.REPOS, "addons": doodba.ADDONS, "answers": doodba.ANSWERS}
    found = {paths.get(name, f"{name}.yaml"): text for name, text in texts.items()}
    return doodba.convert(doodba.DoodbaFiles(found, names, env or {}), odoo)


def test_a_repository_only_in_addons_yaml_is_from_oca() -> None:
    draft = convert_doodba(odoo="18.0", addons='web: ["*"]\n').draft
    assert draft.dependencies == ("https://github.com/OCA/web.git",)
    assert draft.platform == "https://github.com/OCA/OCB.git"


def test_the_version_of_the_image_overrides_that_of_the_answers() -> None:
    compose = json.dumps({"services": {"odoo": {"build": {"args": {"ODOO_VERSION": "$MINOR"}}}}})
    answers = "odoo_version: 16.0\npostgres_version: '14'\n"
    assert convert_doodba(common=compose, answers=answers, env={"MINOR": "17.0"}).draft.odoo == "17.0"
    assert convert_doodba(common=compose, answers=answers).draft.odoo == "16.0"
    assert convert_doodba(answers=answers).draft.postgres == "14"
    assert convert_doodba(common=compose, answers=answers, odoo="18.0").draft.odoo == "18.0"


def test_a_document_with_another_branch_than_before_is_not_converted() -> None:
    addons = 'web: ["*"]\n---\nENV: {ODOO_VERSION: 18.0-other}\nweb: ["*"]\n'
    converted = convert_doodba(odoo="18.0", addons=addons)
    assert converted.draft.dependencies == ("https://github.com/OCA/web.git",)
    assert any("document 2: web" in line for line in converted.remarks)


def test_a_commit_in_addons_yaml_is_pinned() -> None:
    converted = convert_doodba(odoo="18.0", addons=f'ENV: {{ODOO_VERSION: {COMMIT}}}\nweb: ["*"]\n')
    assert converted.draft.dependencies == (f"https://github.com/OCA/web.git 18.0 {COMMIT}",)


BROKEN = {
    ".copier-answers.yml": b"odoo_version: [\n",
    "common.yaml": b"services:\n  odoo: *missing\n",
    "prod.yaml": b"\xff\xfe",
    "odoo/custom/conf.d/10.conf": b"\xff",
    "odoo/custom/conf.d/20.conf": b"no section\n",
    "odoo/custom/dependencies/pip.txt": b"\xff",
    "odoo/Dockerfile": b"\xff",
    ".env": b"not an assignment\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_side_file_that_cannot_be_read_is_reported(name: str, tmp_path: Path, clean: Path) -> None:
    root = copied(GOLDEN / "doodba-automatic", tmp_path / "project")
    (root / "common.yaml").write_text("services: {odoo: {build: {args: {ODOO_VERSION: '18.0'}}}}\n")
    (root / ".env").unlink(missing_ok=True)
    before = kinds.convert(str(root), "18.0").conversion
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(BROKEN[name])
    after = kinds.convert(str(root), "18.0").conversion
    assert after.draft.dependencies == before.draft.dependencies
    assert any(line.startswith(name) and "cannot be read" in line for line in after.remarks)
    assert all(line.importance is Importance.LOST for line in after.remarks if "cannot be read" in line)


@pytest.mark.parametrize("name", ["repos.yaml", "addons.yaml"])
def test_a_main_file_that_cannot_be_read_is_an_error(name: str, tmp_path: Path, clean: Path) -> None:
    root = copied(GOLDEN / "doodba-template", tmp_path / "project")
    for data in (b"\xff", b"a: [\n"):
        (root / "odoo/custom/src" / name).write_bytes(data)
        with pytest.raises(DescriptionError):
            kinds.convert(str(root), "")


@pytest.mark.parametrize("key", ["/opt/odoo/custom/src/web", "./web", "web", "web/"])
def test_the_name_of_a_repository_has_no_folder(key: str) -> None:
    text = json.dumps({key: {"remotes": {"mine": "https://x.y/web.git"}, "merges": ["mine 18.0"]}})
    converted = convert_doodba(odoo="18.0", repos=text, addons="web: ['*']\n./web: ['*']\nweb/sub: ['*']\n")
    assert converted.draft.dependencies == ("https://x.y/web.git 18.0",)


def test_add_ons_in_the_project_are_no_repository_of_oca() -> None:
    names = tuple(f"odoo/custom/src/theme/{name}/__manifest__.py" for name in ("theme_a", "theme_b"))
    converted = convert_doodba(odoo="18.0", addons="theme: ['*']\nweb: ['*']\n", names=names)
    assert converted.draft.dependencies == ("https://github.com/OCA/web.git",)
    assert any("src/theme: 2 add-ons" in line and "git mv" in line for line in converted.remarks)


# --- odoo-devops-tools -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "[odoo",
        "[addons.x]\nrepo = y\n",
        "[odoo]\nversion = ${vars:nothing}\n",
        "[odoo]\nversion = 1\nversion = 2\n",
    ],
)
def test_another_ini_file_is_refused(text: str) -> None:
    with pytest.raises(DescriptionError):
        odoo_devops_tools.convert(text, "odoo-project.ini")


def included(text: str, **files: str) -> Conversion:
    return odoo_devops_tools.convert(text, "p.ini", read_file={f"{name}.ini": text for name, text in files.items()}.get)


@pytest.mark.parametrize(
    ("text", "files", "where"),
    [
        ("[include]\nfiles = gone.ini\n[odoo]\n", {}, "p.ini: [include]"),
        (
            "[include]\nfiles = a.ini\n[odoo]\n",
            {"a": "[include]\nfiles = ./p.ini\n", "p": ""},
            "p.ini -> a.ini -> p.ini",
        ),
        ("[include]\nfiles = a.ini\n[odoo]\n", {"a": "no section"}, "a.ini"),
        ("[include]\nfiles = a.ini\n", {"a": "[config]\n"}, "p.ini"),
        ("[odoo]\nversion = ${gone:option}\n", {}, "[odoo] version"),
    ],
    ids=["missing", "cycle", "no ini", "no odoo", "reference"],
)
def test_an_invalid_include_is_refused(text: str, files: dict[str, str], where: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        included(text, **files)
    assert caught.value.where == where


def test_the_file_overrides_those_that_it_includes() -> None:
    base = "[odoo]\nbranch = 18.0\n[config]\nworkers = 1\ndb_name = base\n"
    text = "[include]\nfiles = base.ini, ?gone.ini\n[config]\ndb_name = shop\n"
    draft = included(text, base=base).draft
    assert draft.odoo == "18.0"
    assert draft.odoo_conf == {"options": {"workers": "1", "db_name": "shop"}}


def test_folders_of_the_workspace_are_no_options() -> None:
    converted = included("[odoo]\nversion = 18.0\n[config]\nfolder = ${ini_dir}/x\n[docker]\nodoo_cpus = 2\n")
    assert converted.draft.odoo_conf == {}
    assert [line.split(": ")[1:3] for line in converted.advice] == [
        ["docker.odoo_cpus 2", 'set "cpus" in service_patches.odoo'],
        ["config", "folder"],
    ]


def test_a_version_option_overrides_and_other_branches_are_kept() -> None:
    addons = "".join(
        f"[addons.{branch}]\nrepo = https://x.y/{branch}.git\nbranch = {branch}\n" for branch in ("17.0", "16.0")
    )
    draft = odoo_devops_tools.convert(f"[odoo]\nversion = 17.0\n{addons}", "p.ini", "18.0").draft
    assert draft.odoo == "18.0"
    assert draft.dependencies == ("https://x.y/17.0.git", "https://x.y/16.0.git 16.0")


def test_a_folder_of_a_project_elsewhere_is_not_converted() -> None:
    text = "[odoo]\nversion = 17.0\n[addons.a]\npath = mine\n"
    assert odoo_devops_tools.convert(text, "p.ini").not_converted == ()
    assert "file:///ABSOLUTE/PATH" in odoo_devops_tools.convert(text, "p.ini", here=False).advice[0]


# --- random content ----------------------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "odoo",
        "web",
        "oca",
        "oca 17.0",
        "oca $ODOO_VERSION",
        "https://u:p@x.y/a.git",
        "git@x.y:a/b",
        "*",
        "",
        "-x",
        "${A:-",
        "$",
        "17.0",
        COMMIT,
    ]
) | st.text(max_size=12)
NAMES = (
    "odoo", "./odoo", "oca", "remotes", "merges", "target", "defaults", "depth", "patches", "shell_command_after", "fetch_all",
    "remote", "ref", "ENV", "ONLY", "private", "services", "db", "image", "build", "args", "environment",
    "DEFAULT_REPO_PATTERN", "ODOO_VERSION",
)  # fmt: skip
KEYS = st.sampled_from(NAMES)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 30) | WORDS,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(KEYS | WORDS, children, max_size=4),
    max_leaves=20,
)


def check_conversion(converted: Conversion) -> None:
    """The converted manifest is valid, and each line is one line without passwords."""
    for schema in (1, 2):
        draft = replace(converted.draft, odoo=converted.draft.odoo or "18.0")
        assert problems(manifest_text(completed(draft), schema), lambda name: None)[0] == ()
    for line in converted.remarks:
        assert "\n" not in line
        assert "u:p@" not in line


@given(VALUES, WORDS)
def test_random_repos_yaml(value: object, folder: str) -> None:
    with suppress(DescriptionError):
        check_conversion(
            aggregated(json.dumps({folder: value, "x": {"remotes": {"oca": folder}, "merges": value}}), odoo="18.0")
        )


@given(VALUES, VALUES, VALUES, st.text(max_size=40), st.text(max_size=40))
def test_random_doodba_project(repos: object, addons: object, common: object, pip: str, options: str) -> None:
    texts = {doodba.REPOS: repos, doodba.ADDONS: addons, "common.yaml": {"services": common}}
    more = {f"{doodba.DEPENDENCIES}pip.txt": pip, f"{doodba.CONF}a.conf": f"[options]\n{options}"}
    with suppress(DescriptionError):
        found = {key: json.dumps(text) for key, text in texts.items()} | more
        check_conversion(doodba.convert(doodba.DoodbaFiles(found), "18.0"))


@given(WORDS, WORDS, WORDS, WORDS)
def test_random_project_ini(url: str, branch: str, key: str, value: str) -> None:
    addons = f"[addons.a]\nrepo = {url}\nbranch = {branch}\ncommit = {value}\n"
    with suppress(DescriptionError):
        check_conversion(
            odoo_devops_tools.convert(
                f"[odoo]\nversion = 18.0\nrepo = {url}\n{addons}[config]\n{key} = {value}\n", "p.ini"
            )
        )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:hunter2@host/x", "https://***@host/x"),
        ("https://${TOKEN}@host/x", "https://${TOKEN}@host/x"),
        ("https://host/x?y", "https://host/x?y"),
    ],
)
def test_an_address_in_a_message_shows_no_password(url: str, shown: str) -> None:
    assert excerpt_url(url) == shown


@pytest.mark.parametrize("value", ["False", "none", " ", "${SECRET}"])
def test_an_option_without_a_secret_value_is_converted(value: str) -> None:
    kept, skipped = conf({"options": {"smtp_password": value}}, "odoo.conf")
    assert (kept, skipped) == ({"options": {"smtp_password": value}}, [])


def test_a_default_of_a_variable_in_an_address_counts_as_a_secret() -> None:
    assert read_url("https://${TOKEN:-hunter2}@host/x")[0] == "https://host/x"


# --- doodba: where versions come from ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("services", "env", "postgres"),
    [
        ({"db": {"image": "ghcr.io/tecnativa/postgres-autoconf:16-alpine"}}, {"DB_VERSION": "14"}, "16"),
        ({"db": {"image": "postgres:$DB"}}, {"DB": "15"}, "15"),
        ({"db": {"image": "mysql:8"}}, {"DB_VERSION": "14"}, "14"),
        ({"odoo": {"build": {"args": {"DB_VERSION": "13"}}}}, {"DB_VERSION": "14"}, "13"),
        ({}, {"DB_VERSION": "14"}, "14"),
    ],
)
def test_the_version_of_postgres_is_that_of_the_image_then_the_arguments_then_the_environment(
    services: dict[str, object], env: dict[str, str], postgres: str
) -> None:
    compose = json.dumps({"services": services})
    assert convert_doodba(odoo="18.0", env=env, addons='web: ["*"]\n', common=compose).draft.postgres == postgres


@pytest.mark.parametrize("name", ["ODOO_VERSION", "ODOO_MINOR"])
def test_the_version_of_odoo_may_be_set_in_the_environment(name: str) -> None:
    assert convert_doodba(env={name: "17.0"}, addons='web: ["*"]\n').draft.odoo == "17.0"


def test_addons_yaml_may_name_the_repository_of_odoo() -> None:
    addons = 'ENV: {DEFAULT_REPO_PATTERN_ODOO: "https://github.com/acme/odoo.git"}\nweb: ["*"]\n'
    assert convert_doodba(odoo="18.0", addons=addons).draft.platform == "https://github.com/acme/odoo.git"


@pytest.mark.parametrize(("written", "language"), [("de_DE", "de_DE"), ("en_US", ""), ("German", ""), ("sr@latin", "")])
def test_a_language_other_than_english_is_converted(written: str, language: str) -> None:
    answers = f"odoo_version: 18.0\nodoo_initial_lang: {written}\n"
    assert convert_doodba(answers=answers, addons='web: ["*"]\n').draft.language == language
