"""The single rules of the conversions of submodules, Compose projects and pip requirements."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.converters import kinds, pip
from odpm_tasks.core.init import base_image, compose_file, compose_project, compose_services, pip_project, submodules
from odpm_tasks.core.init.compose_project import ForeignCompose
from odpm_tasks.core.init.conversion import Conversion, settings_needed
from odpm_tasks.core.init.new_project import ProjectDraft, completed, dropped_in_flat, manifest_text, needs_nested
from odpm_tasks.core.init.own_addons import misplaced
from odpm_tasks.core.init.requirements import pyproject_lines
from odpm_tasks.core.init.submodules import SubmoduleProject
from odpm_tasks.errors import DescriptionError
from tests.unit.init.projects import GOLDEN, copied
from tests.unit.init.test_conversion import VALUES, WORDS, check_conversion

COMMIT = "6054de2c4e669f85cec380da90d746061967dc83"
OTHER = "0" * 39 + "1"


# --- submodules --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "url", "resolved"),
    [
        ("git@github.com:acme/shop.git", "../web.git", "git@github.com:acme/web.git"),
        ("git@github.com:acme/shop.git", "../../OCA/web.git", "git@github.com:OCA/web.git"),
        ("git@github.com:acme/shop.git", "../../../web.git", ""),
        ("https://github.com/acme/shop", "../../OCA/web.git", "https://github.com/OCA/web.git"),
        ("https://github.com/acme/shop/", "./web", "https://github.com/acme/shop/web"),
        ("https://github.com/acme/shop", "../../../web", ""),
        ("ssh://git@host:2222/a/b", "../c", "ssh://git@host:2222/a/c"),
    ],
)
def test_a_relative_address_is_resolved_as_git_does(origin: str, url: str, resolved: str) -> None:
    assert submodules.relative(origin, url) == resolved


def settings(*urls: str, branch: str = "16.0") -> list[tuple[str, str]]:
    pairs = []
    for url in urls:
        name = url.rpartition("/")[2].removesuffix(".git")
        pairs += [(f"submodule.{name}.path", name), (f"submodule.{name}.url", url)]
        pairs += [(f"submodule.{name}.branch", branch)] if branch else []
    return pairs


WEB, ODOO = "https://github.com/OCA/web", "https://github.com/odoo/odoo"
MANIFEST = "{'version': '15.0.1.0.0'}"


@pytest.mark.parametrize(
    ("project", "odoo"),
    [
        (SubmoduleProject(settings(WEB, ODOO), manifests=[MANIFEST]), "16.0"),
        (SubmoduleProject(settings(WEB), manifests=[MANIFEST], branch="14.0"), "15.0"),
        (SubmoduleProject(settings(WEB), branch="14.0"), "16.0"),
        (SubmoduleProject(settings(WEB, branch="main"), branch="14.0-staging"), "14.0"),
        (SubmoduleProject(settings(WEB, branch="main"), branch="main"), ""),
    ],
)
def test_the_version_is_that_of_odoo_then_the_add_ons_then_the_branches(project: SubmoduleProject, odoo: str) -> None:
    assert submodules.convert(project).draft.odoo == odoo
    assert submodules.convert(project, "18.0").draft.odoo == "18.0"


def test_recorded_commits_become_pins_and_the_links_stay_readable() -> None:
    project = SubmoduleProject(settings(WEB, ODOO), commits={"web": COMMIT, "odoo": OTHER})
    draft = submodules.convert(project).draft
    assert (draft.platform, draft.dependencies) == (ODOO, (WEB,))
    assert draft.pins == {WEB: COMMIT, ODOO: OTHER}


def test_a_command_with_the_name_of_a_folder_is_quoted() -> None:
    pairs = [("submodule.a.path", "$(touch x)"), ("submodule.a.url", WEB)]
    converted = submodules.convert(SubmoduleProject(pairs, {"$(touch x)": COMMIT}), "16.0")
    assert converted.advice[-1].endswith("git rm '$(touch x)'")


def test_two_submodules_of_one_repository_are_one_source_and_the_second_commit_is_reported() -> None:
    pairs = [("submodule.a.path", "a"), ("submodule.a.url", WEB), ("submodule.b.path", "b"), ("submodule.b.url", WEB)]
    converted = submodules.convert(SubmoduleProject(pairs, {"a": COMMIT, "b": OTHER}), "16.0")
    assert converted.draft.dependencies == (WEB,)
    assert converted.draft.pins == {WEB: COMMIT}
    assert any("at another commit" in line for line in converted.not_converted)


def test_a_submodule_without_address_and_a_relative_one_without_origin_are_reported() -> None:
    pairs = [("submodule.a.path", "a"), ("submodule.b.path", "b"), ("submodule.b.url", "../b.git")]
    converted = submodules.convert(SubmoduleProject(pairs), "16.0")
    assert converted.draft.dependencies == ()
    assert [line.split(": ")[1] for line in converted.not_converted if line.startswith(".gitmodules: ")][:2] == [
        "a",
        "b",
    ]


def pending(*merges: str) -> dict[str, str]:
    remotes = {"OCA": f"{WEB}.git", "acme": "git@github.com:acme/web.git"}
    return {"pending-merges.d/web.yml": json.dumps({"../web": {"remotes": remotes, "merges": list(merges)}})}


def test_pending_merges_replace_the_branch_that_they_were_pushed_to() -> None:
    pairs = settings("git@github.com:acme/web.git", branch="merge-branch-1-master")
    merges = ("OCA 16.0", "OCA refs/pull/7/head", "acme 16.0-fix", "acme refs/pull/8/head", "OCA 16.0-next")
    converted = submodules.convert(SubmoduleProject(pairs, {"web": COMMIT}, pending=pending(*merges)))
    draft = converted.draft
    assert (draft.odoo, draft.dependencies, draft.pins) == ("16.0", (f"{WEB}.git",), {})
    fork = "git@github.com:acme/web.git"
    assert draft.merges == {WEB: ("#7", f"{fork} 16.0-fix", f"{fork} #8", "refs/heads/16.0-next")}
    assert any(COMMIT[:8] in line and "pending merges" in line for line in converted.advice)


def test_pending_merges_without_a_merge_change_nothing_and_a_broken_file_is_reported() -> None:
    pairs = settings(WEB)
    assert submodules.convert(SubmoduleProject(pairs, {"web": COMMIT}, pending=pending("OCA 16.0"))).draft.pins
    converted = submodules.convert(SubmoduleProject(pairs, {"web": COMMIT}, pending={"pending-merges.d/x.yml": "a: ["}))
    assert converted.draft.pins == {WEB: COMMIT}
    assert converted.not_converted[0].startswith("pending-merges.d/x.yml: ")


def test_a_submodule_that_is_itself_an_add_on_and_named_unlike_its_repository_is_reported(
    tmp_path: Path, clean: Path
) -> None:
    text = '[submodule "fel"]\n\tpath = fel\n\turl = https://x.y/odoo-fel.git\n[submodule "w"]\n\tpath = w\n\turl = https://x.y/w.git\n'
    text += '[submodule "one"]\n\tpath = acme/one\n\turl = https://x.y/one.git\n'
    (tmp_path / ".gitmodules").write_text(text, encoding="utf-8")
    for name in ("fel", "w/w_one", "acme/one"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "__manifest__.py").write_text("{}", encoding="utf-8")
    for name in ("fel", "w", "acme/one"):
        (tmp_path / name / ".git").write_text(f"gitdir: ../.git/modules/{name}\n", encoding="utf-8")
    converted = kinds.convert(str(tmp_path), "16.0").conversion
    assert [line[:5] for line in converted.not_converted if "itself an add-on" in line] == ["fel: "]
    assert not any(line.startswith("w: ") or "not checked out" in line for line in converted.remarks)
    assert any(
        line.startswith("1 submodule not checked out")
        for line in submodules.convert(SubmoduleProject(settings(WEB))).advice
    )


@pytest.mark.parametrize("text", ["[submodule", "[a]\n\tb = \\q\n"])
def test_a_broken_gitmodules_is_an_error(text: str, tmp_path: Path, clean: Path) -> None:
    (tmp_path / ".gitmodules").write_text(text, encoding="utf-8")
    with pytest.raises(DescriptionError, match=r"\.gitmodules cannot be read"):
        kinds.convert(str(tmp_path), "16.0")


def test_an_included_file_of_gitmodules_is_not_read(tmp_path: Path, clean: Path) -> None:
    (tmp_path / "outside").write_text('[submodule "x"]\n\tpath = x\n\turl = https://x.y/secret.git\n', encoding="utf-8")
    (tmp_path / "project").mkdir()
    text = '[include]\n\tpath = ../outside\n[submodule "w"]\n\tpath = w\n\turl = https://x.y/w.git\n'
    (tmp_path / "project/.gitmodules").write_text(text, encoding="utf-8")
    assert kinds.convert(str(tmp_path / "project"), "16.0").conversion.draft.dependencies == ("https://x.y/w.git",)


@pytest.mark.parametrize(
    ("addons", "commands"),
    [
        (["a", "b"], []),
        (["addons/a", "mine/b"], []),
        (["odoo/local-src/a", "odoo/local-src/b"], ["git mv odoo/local-src local-src"]),
        (["a", "addons/b"], ["git mv addons/* ."]),
        (["addons/a", "odoo/addons/b"], ["git mv odoo/addons/* addons/"]),
        (["a/$(touch x)/b"], ["git mv 'a/$(touch x)' '$(touch x)'"]),
    ],
)
def test_add_ons_that_odpm_does_not_find_have_a_command(addons: list[str], commands: list[str]) -> None:
    assert [line.rpartition("; ")[2] for line in misplaced(addons)] == commands


# --- Compose -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "series", "date"),
    [
        ("odoo:16", "16.0", ""),
        ("odoo:16.0-20240301", "16.0", "20240301"),
        ("docker.io/library/odoo:17.0", "17.0", ""),
        ("registry.example:5000/team/odoo:15", "15.0", ""),
        ("camptocamp/odoo-project:12.0-3.1.2", "12.0", ""),
        ("odoo:latest", "", ""),
        ("odoo", "", ""),
        ("camptocamp/odoo-nginx:14.0-1.5.0", "", ""),
        ("postgres:16", "", ""),
    ],
)
def test_the_series_is_in_the_tag_of_the_image(image: str, series: str, date: str) -> None:
    assert base_image.tag(image) == (series, date)


def composed(services: object, conf: str = "", dockerfile: str = "", **env: str) -> Conversion:
    file = compose_file.read(json.dumps({"services": services}), "compose.yaml", env)
    return compose_project.convert(ForeignCompose(file, ("odoo.conf", conf), ("Dockerfile", dockerfile)))


@pytest.mark.parametrize(
    ("services", "odoo"),
    [
        ({"a": {"image": "nginx"}, "web": {"image": "odoo:${TAG:-15.0}"}}, "15.0"),
        ({"app": {"build": "."}, "db": {"image": "postgres:14"}}, "17.0"),
        ({"nginx": {"image": "x/odoo-nginx:14.0"}, "odoo": {"build": {"context": ".", "args": {"V": "16.0"}}}}, "16.0"),
        ({"x": {"build": ".", "ports": ["8069:8069"]}}, "17.0"),
    ],
)
def test_the_service_of_odoo_is_found(services: dict[str, object], odoo: str) -> None:
    dockerfile = "ARG V=17.0\nFROM odoo:${V}\n"
    assert composed(services, dockerfile=dockerfile if "build" in json.dumps(services) else "").draft.odoo == odoo


@pytest.mark.parametrize(
    ("image", "version", "said"),
    [
        ("postgres:15", "15", ""),
        ("docker.io/postgres:13-alpine", "13", ""),
        ("pgvector/pgvector:pg16", "16", "odpm uses postgres"),
        ("postgres", "", "not known"),
    ],
)
def test_the_version_of_postgres(image: str, version: str, said: str) -> None:
    converted = composed({"odoo": {"image": "odoo:16"}, "db": {"image": image}})
    assert converted.draft.postgres == version
    assert any(said in line for line in converted.remarks)


def test_a_dockerfile_adds_packages_and_requirements_and_reports_the_rest() -> None:
    text = (
        "FROM odoo:16.0\nUSER root\nRUN apt-get update && apt-get install -y --no-install-recommends \\\n  git \\\n  # why\n"
        "  libxml2-dev && rm -rf /var/lib/apt/lists/*\nRUN pip3 install --no-cache-dir -r /requirements.txt 'num2words>=0.5'\n"
        "COPY ./fonts /usr/share/fonts\nRUN npm install -g less\n"
    )
    image = base_image.read(text, "Dockerfile", {})
    assert (image.odoo, image.system_packages) == ("16.0", ["git", "libxml2-dev"])
    assert (image.requirements, image.files) == (["num2words>=0.5"], ["/requirements.txt"])
    assert "COPY ./fonts /usr/share/fonts; RUN npm install -g less" in image.remarks[-1]


@pytest.mark.parametrize(
    ("text", "converted"),
    [
        ("$A/${B}", "${A}/${B}"),
        ("${A-x}", "${A:-x}"),
        ("${A:-x}", "${A:-x}"),
        ("${A:?is required}", "${A}"),
        ("$$A", "$$A"),
        ("5$", "5$"),
    ],
)
def test_variables_of_compose_are_kept_in_the_forms_of_the_manifest(text: str, converted: str) -> None:
    assert compose_services.shell_forms(text) == converted


@pytest.mark.parametrize(
    "service",
    [
        {"environment": {"DB_PASS": "hunter2"}},
        {"environment": {"DB_PASS": "${DB_PASS:-hunter2}"}},
        {"environment": ["URL=postgres://me:hunter2@db/x"]},
        {"command": "redis-server --requirepass hunter2"},
        {"command": ["redis-server", "--requirepass", "hunter2"]},
        {"labels": ["traefik.http.middlewares.a.basicauth.users=admin:hunter2"]},
        {"labels": {"traefik.http.middlewares.a.basicauth.users": "admin:hunter2"}},
    ],
    ids=json.dumps,
)
def test_a_secret_of_a_service_becomes_a_variable(service: dict[str, object]) -> None:
    converted = composed({"odoo": {"image": "odoo:16"}, "x": {"image": "x", **service}})
    text = json.dumps(dict(converted.draft.services))
    assert "hunter2" not in text
    assert "${" in text
    assert any("set" in line and ".env" in line for line in converted.advice)
    assert not any("hunter2" in line for line in converted.remarks)


def test_names_of_odoo_and_postgres_are_replaced_in_other_services() -> None:
    services = {
        "web": {"image": "odoo:16"},
        "pg": {"image": "postgres:15"},
        "x": {"image": "x", "depends_on": ["web", "pg"], "environment": {"HOST": "pg"}, "network_mode": "service:web"},
    }
    service = composed(services).draft.services["x"]
    assert service["depends_on"] == ["odoo", "db"]
    assert (service["environment"], service["network_mode"]) == ({"HOST": "db"}, "service:odoo")


@pytest.mark.parametrize("ports", [["8070:8069"], ["127.0.0.1:8070:8069/tcp"], [{"published": 8070, "target": 8069}]])
def test_a_port_of_odoo_is_a_line_for_the_settings(ports: list[object]) -> None:
    converted = composed({"odoo": {"image": "odoo:16", "ports": ports}})
    assert any("set ODOO_PORT=8070 in .env" in line for line in converted.advice)


def test_the_database_is_that_of_the_command_or_the_environment() -> None:
    for service in ({"command": ["odoo", "--database=acme"]}, {"environment": {"DB_NAME": "acme"}}):
        assert composed({"odoo": {"image": "odoo:16", **service}}).draft.odoo_conf == {"options": {"db_name": "acme"}}


@pytest.mark.parametrize("text", ["a: [", "[]", "services: []", "services: {a: {image: nginx}}", ""])
def test_another_compose_file_is_refused(text: str, tmp_path: Path, clean: Path) -> None:
    (tmp_path / "compose.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DescriptionError):
        kinds.convert(str(tmp_path / "compose.yaml"), "")


# --- pip ---------------------------------------------------------------------------------------------------------


def required(*lines: str, **repositories: str) -> Conversion:
    return pip_project.convert(pip_project.read({"requirements.txt": lines}), repositories)


@pytest.mark.parametrize(
    ("lines", "odoo"),
    [
        (["odoo @ git+https://github.com/odoo/odoo@16.0"], "16.0"),
        (["-e git+https://github.com/OCA/OCB@15.0#egg=odoo", "odoo-addon-x==16.0.1.0.0"], "15.0"),
        (["odoo14-addon-x"], "14.0"),
        (["odoo-addon-x==16.0.1.0.0", "odoo-addon-y>=1"], "16.0"),
        (["odoo-addon-x"], ""),
    ],
)
def test_the_version_is_in_the_requirements(lines: list[str], odoo: str) -> None:
    assert required(*lines).draft.odoo == odoo


def test_add_ons_of_one_repository_become_one_dependency() -> None:
    draft = required(
        "odoo-addon-a @ git+https://github.com/OCA/web@16.0#subdirectory=setup/a",
        "odoo-addon-b @ git+https://github.com/OCA/web.git@16.0#subdirectory=setup/b",
        f"odoo-addons-enterprise @ git+ssh://git@github.com/acme/enterprise@{COMMIT}",
    ).draft
    assert draft.dependencies == ("https://github.com/OCA/web", "ssh://git@github.com/acme/enterprise")
    assert draft.pins == {"https://github.com/acme/enterprise": COMMIT}


def test_add_ons_of_one_repository_at_two_commits_are_not_pinned() -> None:
    converted = required(
        f"odoo-addon-a @ git+https://github.com/OCA/web@{COMMIT}",
        f"odoo-addon-b @ git+https://github.com/OCA/web@{OTHER}",
    )
    assert converted.draft.pins == {}
    assert any("at different refs" in line for line in converted.not_converted)


def test_pull_requests_of_add_ons_are_merged_onto_the_branch() -> None:
    draft = required(
        "odoo-addon-a @ git+https://github.com/OCA/web@refs/pull/7/head#subdirectory=setup/a",
        "odoo-addon-b @ git+https://github.com/OCA/web@refs/pull/8/merge#subdirectory=b",
        "odoo-addon-c @ git+https://github.com/OCA/web@refs/pull/7/head#subdirectory=setup/c",
        "odoo-addon-d @ git+https://github.com/OCA/web@16.0#subdirectory=setup/d",
    ).draft
    assert draft.dependencies == (WEB,)
    assert draft.merges == {WEB: ("#7", "#8")}


def test_add_ons_of_the_index_need_their_repository() -> None:
    converted = required("odoo-addon-web-responsive==16.0.1.0.0", "odoo-addon-contract", web_responsive=WEB)
    assert converted.draft.dependencies == (WEB,)
    line = next(line for line in converted.not_converted if "--ask-index" in line)
    assert line.startswith("1 add-on of the package index: contract")


def test_other_packages_are_requirements() -> None:
    found = pip_project.read(
        {"requirements.txt": ["phonenumbers==8.13 \\", "    --hash=sha256:11", "lxml ; python_version>'3'"]}
    )
    assert not found.names_odoo
    assert pip_project.convert(found, {}, "16.0").draft.requirements == (
        "phonenumbers==8.13",
        "lxml ; python_version>'3'",
    )


def test_included_files_are_read_inside_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "requirements.txt").write_text("-r a/more.txt\n-r ../secret\n-r missing.txt\n", encoding="utf-8")
    (tmp_path / "a/more.txt").write_text("odoo-addon-x\n-r more.txt\n", encoding="utf-8")
    found = pip.read(tmp_path, ["requirements.txt"])
    assert list(found.addons) == ["x"]
    assert [line.partition(": ")[0] for line in found.remarks] == ["requirements.txt", "missing.txt"]


def test_repositories_that_the_index_stated_earlier_are_known(tmp_path: Path, clean: Path) -> None:
    from odpm_tasks.core.config.paths import ProjectPaths
    from odpm_tasks.core.config.settings import Settings

    (tmp_path / "addons/16.0").mkdir(parents=True)
    (tmp_path / "addons/16.0/web_responsive").write_text(f"{WEB}\n", encoding="utf-8")
    known = pip.index_of(ProjectPaths(tmp_path, tmp_path, Settings(())), ask_index=False)
    assert known("16.0", ["web_responsive", "contract"]) == {"web_responsive": WEB}
    project = copied(GOLDEN / "pip", tmp_path / "project")
    assert WEB in kinds.convert(str(project), "", known).conversion.draft.dependencies


@pytest.mark.parametrize("text", ["[project", "a = 1\na = 2", "\0"])
def test_a_broken_pyproject_is_an_error(text: str) -> None:
    with pytest.raises(DescriptionError, match="is not TOML"):
        pyproject_lines(text, "pyproject.toml")


# --- several parts -----------------------------------------------------------------------------------------------


def test_the_parts_of_a_project_are_converted_together_and_one_alone_on_request(tmp_path: Path, clean: Path) -> None:
    project = copied(GOLDEN / "submodules-camptocamp", tmp_path / "project")
    together = kinds.convert(str(project), "")
    assert [kind.name for kind in together.used] == ["submodules", "compose", "pip"]
    alone = kinds.convert(f"compose:{project}", "")
    assert [kind.name for kind in alone.unused] == ["submodules"]
    assert alone.conversion.draft.dependencies == ()
    assert alone.conversion.draft.postgres == together.conversion.draft.postgres == "12"


def test_merges_need_the_nested_format_and_their_variables() -> None:
    draft = ProjectDraft(
        odoo="16.0",
        dependencies=(f"{WEB} 16.0-x",),
        merges={WEB: ("#1", "https://${TOKEN}@x.y/w.git 16.0"), ODOO: ("#2",)},
    )
    data = json.loads(manifest_text(completed(draft), 2))
    assert data["dependencies"] == [{"git": f"{WEB} 16.0-x", "merges": ["#1", "https://${TOKEN}@x.y/w.git 16.0"]}]
    assert data["platform"]["merges"] == ["#2"]
    assert data["requires_odpm"] == "5.0.0"
    assert needs_nested(draft)
    assert WEB in dropped_in_flat(draft)[0]
    assert "TOKEN" in settings_needed(draft, {})[0]


def test_pins_become_a_part_of_the_links_in_the_flat_format() -> None:
    draft = ProjectDraft(odoo="16.0", dependencies=(WEB,), pins={WEB: COMMIT, ODOO: OTHER})
    data = json.loads(manifest_text(completed(draft), 1))
    assert data["dependencies"] == [f"{WEB} 16.0 {COMMIT}"]
    assert data["odoo_git_link"] == f"{ODOO}.git 16.0 {OTHER}"


# --- hostile files -----------------------------------------------------------------------------------------------

BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("name", ["compose.yaml", "repos.yaml", "pending-merges.d/x.yml"])
@pytest.mark.parametrize(
    "text", [BOMB, "services: &a [*a]\n", "[" * 1200, "a: \0"], ids=["bomb", "loop", "deep", "zero"]
)
def test_a_hostile_yaml_file_is_an_error_or_reported(name: str, text: str, tmp_path: Path, clean: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text, encoding="utf-8")
    if name.startswith("pending"):
        (tmp_path / ".gitmodules").write_text(
            '[submodule "w"]\n\tpath = w\n\turl = https://x.y/w.git\n', encoding="utf-8"
        )
        assert any(line.startswith(name) for line in kinds.convert(str(tmp_path), "16.0").conversion.not_converted)
    else:
        with pytest.raises(DescriptionError):
            kinds.convert(str(tmp_path), "16.0")


@pytest.mark.parametrize("name", [".gitmodules", "compose.yaml", "requirements.txt", "odoo.conf", "Dockerfile"])
def test_a_file_that_leads_out_of_the_project_is_an_error(name: str, tmp_path: Path, clean: Path) -> None:
    (tmp_path / "secret").write_text("root:x:0\n", encoding="utf-8")
    project = tmp_path / "project"
    project.mkdir()
    (project / "compose.yaml").write_text("services: {odoo: {build: .}}\n", encoding="utf-8")
    (project / name).unlink(missing_ok=True)
    (project / name).symlink_to("../secret")
    with pytest.raises(DescriptionError, match="leads out of the project") as caught:
        kinds.convert(f"submodules:{project}" if name == ".gitmodules" else str(project), "16.0")
    assert "root:x" not in str(caught.value)


def test_folders_outside_of_the_project_are_searched_one_level_deep(tmp_path: Path, clean: Path) -> None:
    for name in ("shared/mine/__manifest__.py", "deep/a/b/.git/x", "clones/web/.git/x", "project/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    volumes = ["../shared:/mnt/a", "../deep:/mnt/b", "../clones:/mnt/c", "~/none:/mnt/d", "/etc:/etc/odoo"]
    compose = {"services": {"odoo": {"image": "odoo:16", "volumes": volumes}}}
    (tmp_path / "project/compose.yaml").write_text(json.dumps(compose), encoding="utf-8")
    converted = kinds.convert(str(tmp_path / "project"), "").conversion
    assert converted.draft.dependencies == (f"file://{tmp_path}/shared",)
    assert [line.partition(": ")[0] for line in converted.not_converted if "no add-ons here" in line] == [
        str(tmp_path / "deep"),
        str(Path("~/none").expanduser()),
    ]
    assert any(line.startswith("../clones/web: a git clone without a remote") for line in converted.not_converted)


# --- random content ----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=4), WORDS, WORDS)
def test_random_submodules(entries: list[tuple[str, str, str]], origin: str, branch: str) -> None:
    pairs = [
        (f"submodule.{number}.{key}", value)
        for number, entry in enumerate(entries)
        for key, value in zip(("path", "url", "branch"), entry, strict=True)
    ]
    project = SubmoduleProject(pairs, {entry[0]: COMMIT for entry in entries}, origin, branch)
    check_conversion(submodules.convert(project))


@given(VALUES, VALUES, st.text(max_size=40), st.text(max_size=60))
def test_random_compose_project(odoo: object, other: object, conf: str, dockerfile: str) -> None:
    service = odoo if isinstance(odoo, dict) else {}
    services = {"odoo": {"image": "odoo:16", **service}, "db": {"image": "postgres:15"}, "x": other}
    with suppress(DescriptionError):
        check_conversion(composed(services, conf=f"[options]\n{conf}", dockerfile=dockerfile))


@given(st.lists(WORDS | st.text(max_size=30), max_size=4), WORDS)
def test_random_requirements(lines: list[str], url: str) -> None:
    check_conversion(required(*lines, f"odoo-addon-x @ git+{url}@16.0", f"odoo @ git+{url}"))
