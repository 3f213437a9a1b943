"""The graph of repositories: order, who wins, which pins count, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from odpm_tasks.core.locking.graph import Resolution, SourceAnswer, SourceQuery
from odpm_tasks.core.locking.lockfile import Lock, Pin
from odpm_tasks.core.locking.pins import effective_pins
from odpm_tasks.core.locking.python_requirements import RequirementLine
from odpm_tasks.core.locking.resolve import MAX_REQUIREMENTS, drive, resolve
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.errors import DescriptionError, ProgramError
from odpm_tasks.locking.python import merged_requirements
from tests.unit.builders import MINIMAL, OCA, ODOO, Servers, commit, manifest, module

A, B = "a" * 40, "b" * 40


def oca(*lines: str) -> Facts:
    return Facts(oca_dependencies="".join(f"{line}\n" for line in lines))


def flat(*dependencies: str, **keys: object) -> Facts:
    return Facts(odpm_json=json.dumps({"odpm_version": "4.0", "dependencies": list(dependencies), **keys}))


def nested(*dependencies: str, **keys: object) -> Facts:
    return Facts(odpm_json=json.dumps({**MINIMAL, "dependencies": list(dependencies), **keys}))


def names(resolved: Resolution) -> list[str]:
    return [source.name for source in resolved.sources]


def test_manifest_order_then_breadth_first() -> None:
    servers = Servers(
        enterprise=oca("deep-a"),
        web=flat(f"{OCA}/deep-b 19.0"),
        **{"deep-a": oca("deeper"), "deep-b": oca("deeper", "web")},
    )
    resolved = servers.resolve(manifest(f"{OCA}/enterprise 19.0", f"{OCA}/web 19.0"))
    assert names(resolved) == ["odoo", "enterprise", "web", "deep-a", "deep-b", "deeper"]
    assert servers.levels == [["odoo", "enterprise", "web"], ["deep-a", "deep-b"], ["deeper"]]
    assert resolved.sources[-1].required_by == ("odpm.json", "enterprise", "deep-a")
    assert resolved.platform.name == "odoo"


def test_without_oca_dependencies_only_descriptions_add_repositories() -> None:
    both = Facts(odpm_json=flat(f"{OCA}/mail 19.0").odpm_json, oca_dependencies="queue\n")
    described = replace(manifest(f"{OCA}/web 19.0"), use_oca_dependencies=False)
    assert names(Servers(web=both).resolve(described)) == ["odoo", "web", "mail"]


def test_each_source_has_the_commit_of_its_answer() -> None:
    servers = Servers(web=oca("queue"))
    resolved = servers.resolve(manifest(f"{OCA}/web 19.0-fix"))
    assert [(s.key, s.kind, s.commit) for s in resolved.sources] == [
        (ODOO, "platform", commit(f"{ODOO} 19.0")),
        (f"{OCA}/web", "dependency", commit(f"{OCA}/web 19.0-fix")),
        (f"{OCA}/queue", "dependency", commit(f"{OCA}/queue 19.0")),
    ]


def test_both_formats_below_and_their_requirements() -> None:
    servers = Servers(
        a=flat(f"{OCA}/c", requirements_txt=["requests==2.31.0"]),
        b=nested(f"{OCA}/d", requirements=["lxml>=5"]),
        c=Facts(requirements="# none\nphonenumbers # of c\n"),
        d=Facts(modules=(module("d_one", python=("OpenSSL",)), module("d_two", python=("x",), installable=False))),
    )
    resolved = servers.resolve(manifest(f"{OCA}/a", f"{OCA}/b"))
    assert names(resolved) == ["odoo", "a", "b", "c", "d"]
    assert resolved.requirements == (
        RequirementLine("requests==2.31.0", "a: odpm.json", trusted=False),
        RequirementLine("lxml>=5", "b: odpm.json", trusted=False),
        RequirementLine("phonenumbers", "a -> c: requirements.txt", trusted=False),
        RequirementLine("pyOpenSSL", "b -> d: d_one", trusted=False, addon="d_one"),
    )


def test_dependencies_of_the_platform_are_not_followed() -> None:
    held = Facts(oca_dependencies="web", requirements="lxml==5\n", modules=(module("addons/x", python=("y",)),))
    resolved = Servers().put(ODOO, held).resolve(manifest())
    assert names(resolved) == ["odoo"]
    assert resolved.requirements == ()  # those of the platform have another rank: `merged_requirements` reads them


def test_a_dependency_with_the_name_of_the_platform_keeps_its_requirements() -> None:
    ours = manifest("https://github.com/acme/odoo")
    servers = Servers().put(ODOO, Facts(requirements="lxml==5\n"))
    resolved = servers.put("https://github.com/acme/odoo", Facts(requirements="zeep\n")).resolve(ours)
    assert resolved.requirements == (RequirementLine("zeep", "odoo: requirements.txt", trusted=False),)
    assert merged_requirements(ours, resolved, Facts()).lines == ("lxml==5", "zeep")


def test_a_repository_that_is_itself_an_add_on_has_the_name_of_the_repository() -> None:
    root = Facts(root=module("", python=("zeep",)))
    servers = Servers(acme_print=root).put(ODOO, root)
    found = servers.resolve(manifest(f"{OCA}/acme_print"))
    assert [source.facts.folder for source in found.sources] == ["", "acme_print"]
    assert [(line.line, line.addon) for line in found.requirements] == [("zeep", "acme_print")]


def test_a_cycle_ends() -> None:
    servers = Servers(a=oca("b"), b=oca("c"), c=oca("a", "c"))
    assert names(servers.resolve(manifest(f"{OCA}/a"))) == ["odoo", "a", "b", "c"]


def test_spellings_of_one_repository_are_one_source_with_the_first_url() -> None:
    servers = Servers(web=flat("git@github.com:OCA/queue.git 19.0"), mail=oca("queue https://GITHUB.com/OCA/queue/"))
    resolved = servers.resolve(manifest("ssh://git@github.com/OCA/web 19.0", f"{OCA}/mail.git", f"{OCA}/web.git 19.0"))
    assert names(resolved) == ["odoo", "web", "mail", "queue"]
    assert [source.link.url for source in resolved.sources[1:]] == [
        "ssh://git@github.com/OCA/web",
        f"{OCA}/mail.git",
        "git@github.com:OCA/queue.git",
    ]


def test_the_manifest_overrides_dependencies() -> None:
    servers = Servers(web=oca("queue"), mail=oca(f"queue {OCA}/queue 18.0"))
    resolved = servers.resolve(manifest(f"{OCA}/web", f"{OCA}/mail", f"git@github.com:OCA/queue 19.0-mine {A}"))
    queue = next(source for source in resolved.sources if source.name == "queue")
    assert (queue.link.url, queue.commit) == ("git@github.com:OCA/queue", A)


@pytest.mark.parametrize(
    ("first", "second", "spots"),
    [
        ("queue", f"queue {OCA}/queue 18.0", ("19.0", "18.0")),
        (f"queue {OCA}/queue 19.0 {A}", "queue", (f"19.0 {A[:12]}", "19.0")),
        (f"queue {OCA}/queue 19.0 {A}", f"queue {OCA}/queue 19.0 {B}", (f"19.0 {A[:12]}", f"19.0 {B[:12]}")),
    ],
)
def test_a_conflict_between_dependencies_shows_both_chains(first: str, second: str, spots: tuple[str, str]) -> None:
    servers = Servers(web=oca("tools"), tools=oca(first), mail=oca("base"), base=oca(second))
    with pytest.raises(DescriptionError) as caught:
        servers.resolve(manifest(f"{OCA}/web", f"{OCA}/mail"))
    assert caught.value.exit_code == 4
    assert f"{OCA}/queue" in caught.value.what
    assert caught.value.details == (
        f"{spots[0]}: odpm.json -> web -> tools",
        f"{spots[1]}: odpm.json -> mail -> base",
    )


def test_the_branch_of_the_series_equals_no_branch() -> None:
    servers = Servers(web=flat(f"{OCA}/queue"), mail=oca("queue"))
    assert names(servers.resolve(manifest(f"{OCA}/web", f"{OCA}/mail"))) == ["odoo", "web", "mail", "queue"]


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (flat(odoo_version="18.0"), "web is for Odoo 18.0, this project for 19.0"),
        (nested(odoo_version="17.0"), "web is for Odoo 17.0, this project for 19.0"),
        (flat(odoo_version="19.0", python_version="3.7"), "web is for Python 3.7, this project for 3.12"),
        (nested(python="3.11.4"), "web is for Python 3.11.4, this project for 3.12"),
    ],
)
def test_a_dependency_for_another_series_is_a_warning_or_in_strict_mode_an_error(facts: Facts, said: str) -> None:
    resolved = Servers(web=facts).resolve(manifest(f"{OCA}/web"))
    assert resolved.warnings == (f"{said}; in server and ci this is an error",)
    with pytest.raises(DescriptionError, match=said) as caught:
        Servers(web=facts).resolve(manifest(f"{OCA}/web"), strict=True)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("facts", [flat(), nested(odoo_version="19.0", python="3.12.9"), flat(python_version="3.12")])
def test_the_same_major_and_minor_version_is_compatible(facts: Facts) -> None:
    assert Servers(web=facts).resolve(manifest(f"{OCA}/web"), strict=True).warnings == ()


def test_a_broken_module_is_a_warning() -> None:
    resolved = Servers(web=Facts(broken=("web_x/__manifest__.py",))).resolve(manifest(f"{OCA}/web"))
    assert len(resolved.warnings) == 1
    assert "web: web_x/__manifest__.py" in resolved.warnings[0]


@pytest.mark.parametrize("asks", [oca("x file:///etc"), flat("file:///etc"), nested("file:///etc")])
def test_a_cloned_repository_must_not_require_a_local_folder(asks: Facts) -> None:
    with pytest.raises(DescriptionError, match="a folder of this machine, file:///etc") as caught:
        Servers(web=oca("tools"), tools=asks).resolve(manifest(f"{OCA}/web"))
    assert "web -> tools" in caught.value.what


def test_a_local_folder_may_require_another() -> None:
    servers = Servers().put("file:///srv/a", flat("file:///srv/b", f"{OCA}/web")).put("file:///srv/b", Facts())
    resolved = servers.resolve(manifest("file:///srv/a"))
    assert [(s.key, s.pin.file) for s in resolved.sources] == [
        (ODOO, False),
        ("file:///srv/a", True),
        ("file:///srv/b", True),
        (f"{OCA}/web", False),
    ]


def test_unreadable_files_of_dependencies_are_reported_with_the_chain() -> None:
    for facts, file in ((oca("web https://h/x b c d"), "oca_dependencies.txt"), (Facts(odpm_json="{"), "odpm.json")):
        with pytest.raises(DescriptionError) as caught:
            Servers(web=oca("tools"), tools=facts).resolve(manifest(f"{OCA}/web"))
        assert f"web -> tools: {file}" in str(caught.value)


def test_variables_in_a_nested_manifest_are_expanded() -> None:
    link = "https://${LOGIN}@git.example.org/me/tools"
    lookup = {"LOGIN": "robot:pw", "OTHER": "git.example.org"}.get
    servers = Servers(web=flat(link))
    mine = replace(parse_link("https://robot:pw@git.example.org/me/base"), variables=frozenset({"LOGIN"}))
    described = replace(manifest(f"{OCA}/web"), developing=mine)
    assert servers.resolve(described, lookup=lookup).sources[-1].link.url == "https://robot:pw@git.example.org/me/tools"
    with pytest.raises(DescriptionError, match="LOGIN is not set"):
        servers.resolve(described)


@pytest.mark.parametrize(
    "link",
    [
        "https://${LOGIN}@evil.example/x",
        "https://evil.example/${LOGIN}",
        "http://${LOGIN}@git.example.org/x",  # not encrypted, as the link of odpm.json is
        "https://git.example.org/${OTHER}",
        "https://${OTHER}/x",
    ],
)
def test_a_dependency_must_not_send_environment_variables_to_other_hosts(link: str) -> None:
    lookup = {"LOGIN": "hunter2", "OTHER": "hunter2.example"}.get
    mine = replace(parse_link("https://hunter2@git.example.org/me/base"), variables=frozenset({"LOGIN"}))
    described = replace(manifest(f"{OCA}/web"), developing=mine)
    servers = Servers(web=flat(link), base=flat("https://${OTHER}/x"))
    with pytest.raises(DescriptionError, match="would send the variable") as caught:
        servers.resolve(described, lookup=lookup)
    assert "hunter2" not in str(caught.value)
    allowed = Servers().put("file:///srv/own", flat(link)).resolve(manifest("file:///srv/own"), lookup=lookup)
    assert len(allowed.sources) == 3  # a folder of this machine is its owner's
    trusting = replace(described, trust=("web", "https://git.example.org/me/base"))
    assert drive(resolve(trusting, {}, lookup), servers.answer).sources[-1].link.variables


def test_the_developing_checkout_is_not_a_source_of_its_dependencies() -> None:
    servers = Servers(web=oca("project https://github.com/me/project 18.0", "tools"))
    own = "https://github.com/me/project"
    assert names(servers.resolve(manifest(f"{OCA}/web"), own=own)) == ["odoo", "web", "tools"]
    assert "project" in names(servers.resolve(manifest(f"{OCA}/web")))


def test_a_repository_with_thousands_of_dependencies_is_refused_before_any_query() -> None:
    servers = Servers(web=oca("bomb"), bomb=oca(*(f"r{number}" for number in range(10_000))))
    with pytest.raises(DescriptionError, match="bomb requires more repositories") as caught:
        servers.resolve(manifest(f"{OCA}/web"))
    assert "odpm.json -> web -> bomb" in str(caught.value)
    assert len(servers.queries) == 3


@pytest.mark.parametrize(
    ("link", "pin", "asked"),
    [
        (f"{OCA}/web 19.0", Pin(f"{OCA}/web", A, "19.0"), A),
        (f"{OCA}/web", Pin(f"{OCA}/web", A), A),
        (f"{OCA}/web 19.0", Pin(f"{OCA}/web", A, "18.0"), None),
        (f"{OCA}/web 19.0", Pin(f"{OCA}/web", A), A),
        (f"{OCA}/web", Pin(f"{OCA}/web", A, "18.0"), None),
        (f"{OCA}/web 19.0 {B}", Pin(f"{OCA}/web", A, "19.0"), B),
        (f"{OCA}/web 19.0 {A}", Pin(f"{OCA}/web", A, "19.0"), A),
        (f"{OCA}/web 19.0", Pin(f"{OCA}/mail", A, "19.0"), None),
        ("git@github.com:OCA/web.git 19.0", Pin(f"{OCA}/web", A, "19.0"), A),
    ],
)
def test_a_pin_is_used_only_if_it_fits(link: str, pin: Pin, asked: str | None) -> None:
    servers = Servers()
    resolved = servers.resolve(manifest(link), pin)
    assert servers.queries[1].commit == asked
    assert resolved.sources[1].commit == (asked or commit(f"{OCA}/web 19.0"))


def test_pins_apply_to_transitive_dependencies() -> None:
    servers = Servers(web=oca("queue"))
    resolved = servers.resolve(manifest(f"{OCA}/web"), Pin(f"{OCA}/queue", A, "19.0"))
    assert resolved.sources[2].commit == A


def test_the_fingerprint_of_a_folder_is_not_a_pin() -> None:
    servers = Servers()
    servers.resolve(manifest("file:///srv/a"), Pin("file:///srv/a", A, file=True))
    assert servers.queries[1].commit is None


def test_the_build_date_applies_to_the_platform_only() -> None:
    dated = {"git": "https://github.com/odoo/odoo.git 19.0", "build_date": "2025-12-23"}
    servers = Servers()
    described = manifest(f"{OCA}/web", platform=dated, developing={"git": "https://github.com/me/project"})
    resolved = servers.resolve(described)
    assert [(ask.link.name, ask.day) for ask in servers.queries] == [
        ("odoo", "2025-12-23"),
        ("project", None),
        ("web", None),
    ]
    assert resolved.platform.commit == commit(f"{ODOO} 19.0 2025-12-23")
    servers.resolve(described, Pin(ODOO, A, "19.0"))
    assert (servers.queries[3].commit, servers.queries[3].day) == (A, None)


def test_the_developing_project_is_a_source_unless_it_is_this_checkout() -> None:
    described = manifest(f"{OCA}/web", developing={"git": "git@github.com:me/project.git main"})
    resolved = Servers().resolve(described, own="https://github.com/other/fork")
    assert [(s.name, s.kind) for s in resolved.sources] == [
        ("odoo", "platform"),
        ("project", "developing"),
        ("web", "dependency"),
    ]
    assert names(Servers().resolve(described, own="https://github.com/me/project")) == ["odoo", "web"]


def test_equal_names_get_the_owner_as_a_prefix() -> None:
    servers = Servers(web=oca("web https://github.com/me/web"))
    resolved = servers.resolve(manifest(f"{OCA}/web"))
    assert names(resolved) == ["odoo", "OCA-web", "me-web"]
    assert resolved.sources[1].commit == commit(f"{OCA}/web 19.0")


def test_the_lock_of_a_graph_keeps_other_data_and_drops_unused_pins() -> None:
    resolved = Servers(web=oca("queue")).resolve(manifest(f"{OCA}/web 19.0", "file:///srv/a"))
    before = Lock(
        Pin(ODOO, A, "18.0", extra={"depth": 1}),
        (
            Pin(f"{OCA}/web", A, "18.0", extra={"note": "why"}),
            Pin(f"{OCA}/gone", A, "19.0", extra={"note": "not"}),
        ),
        developing=Pin("https://github.com/me/project", B),
        images={"postgres:16": "sha256:1"},
        venv="0123",
        extra={"pending": True},
    )
    after = resolved.lock(before)
    assert after == Lock(
        Pin(ODOO, commit(f"{ODOO} 19.0"), "19.0"),
        (
            Pin(f"{OCA}/web", commit(f"{OCA}/web 19.0"), "19.0"),
            Pin("file:///srv/a", commit("file:///srv/a 19.0"), file=True),
            Pin(f"{OCA}/queue", commit(f"{OCA}/queue 19.0")),
        ),
        developing=before.developing,
        images=before.images,
        venv="0123",
        odoo_version="19.0",
    )
    assert after.extra == {"pending": True}
    assert after.platform.extra == {"depth": 1}
    assert [dict(pin.extra) for pin in after.dependencies] == [{"note": "why"}, {}, {}]


def test_a_lock_keeps_the_path_that_it_gives_a_folder_on_another_machine() -> None:
    resolved = Servers().resolve(manifest("file:///home/me/a"))
    fingerprint = resolved.sources[1].commit
    before = Lock(Pin(ODOO, A, "19.0"), (Pin("file:///srv/addons/a", A, file=True, extra={"note": "why"}),))
    (folder,) = resolved.lock(before).dependencies
    assert folder == Pin("file:///srv/addons/a", fingerprint, file=True)
    assert folder.extra == {"note": "why"}


def test_a_developing_project_of_another_repository_is_pinned_in_the_lock() -> None:
    described = manifest(developing={"git": "git@github.com:me/project.git main"})
    before = Lock(Pin(ODOO, A, "19.0"), developing=Pin("https://github.com/me/old", A))
    pinned = Pin("https://github.com/me/project", commit("https://github.com/me/project main"), "main")
    assert Servers().resolve(described).lock(None).developing == pinned
    assert Servers().resolve(described).lock(before).developing == pinned


def test_digests_that_a_registry_answered_replace_those_of_the_lock() -> None:
    before = Lock(Pin(ODOO, A, "19.0"), images={"postgres:16": "sha256:1"})
    resolved = Servers().resolve(manifest())
    assert resolved.lock(before).images == {"postgres:16": "sha256:1"}
    assert replace(resolved, images={"postgres:16": "sha256:2"}).lock(before).images == {"postgres:16": "sha256:2"}


def test_a_repository_is_asked_by_both_of_its_files() -> None:
    both = Facts(odpm_json=flat(f"{OCA}/mail").odpm_json, oca_dependencies="queue\n")
    assert names(Servers(web=both).resolve(manifest(f"{OCA}/web"))) == ["odoo", "web", "queue", "mail"]


def test_the_warnings_of_all_repositories_are_kept() -> None:
    broken = Facts(broken=("x/__manifest__.py",))
    assert len(Servers(web=broken, mail=broken).resolve(manifest(f"{OCA}/web", f"{OCA}/mail")).warnings) == 2


def test_a_new_lock_has_a_branch_only_where_the_description_has_one() -> None:
    resolved = Servers().resolve(manifest(f"{OCA}/web", f"{OCA}/mail 19.0"))
    assert resolved.lock(None) == Lock(
        Pin(ODOO, commit(f"{ODOO} 19.0"), "19.0"),
        (Pin(f"{OCA}/web", commit(f"{OCA}/web 19.0")), Pin(f"{OCA}/mail", commit(f"{OCA}/mail 19.0"), "19.0")),
        odoo_version="19.0",
    )


def test_pins_of_a_graph_resolve_to_the_same_graph() -> None:
    servers = Servers(web=oca("queue"), queue=flat(f"{OCA}/mail"))
    described = manifest(f"{OCA}/web")
    first = servers.resolve(described)
    again = servers.resolve(described, *first.lock(None).pins.values())
    assert again == first
    assert all(ask.commit for ask in servers.queries[4:])


def test_an_error_of_the_answer_function_is_raised() -> None:
    def unreachable(asks: tuple[SourceQuery, ...]) -> list[SourceAnswer]:
        raise ProgramError(f"no answer to {len(asks)} questions")

    with pytest.raises(ProgramError, match="no answer to 2 questions"):
        drive(resolve(manifest(f"{OCA}/web"), {}), unreachable)


def test_pins_of_the_manifest_apply_to_transitive_dependencies() -> None:
    servers = Servers(web=Facts(oca_dependencies="queue\n"))
    pinned = {f"{OCA}/web": "a" * 40, f"{OCA}/queue": "b" * 40, "https://github.com/odoo/odoo": "c" * 40}
    described = manifest(f"{OCA}/web 19.0", locks={"git": pinned})
    resolved = servers.resolve(described, *effective_pins(None, described.locks_git, "19.0").values())
    assert [found.commit for found in resolved.sources] == ["c" * 40, "a" * 40, "b" * 40]


def test_pins_without_a_branch_are_dropped_when_the_odoo_version_changes() -> None:
    lock = Servers().resolve(manifest(f"{OCA}/web")).lock(None)
    moved = manifest(f"{OCA}/web", odoo_version="18.0", platform={"git": "https://github.com/odoo/odoo 18.0"})
    resolved = Servers().resolve(moved, *effective_pins(lock, {}, "18.0").values())
    assert resolved.sources[1].commit == commit(f"{OCA}/web 18.0")


def test_two_branches_of_one_repository_in_the_manifest_are_an_error() -> None:
    with pytest.raises(DescriptionError, match=r"two revisions(?s:.*)remove one of the two links of odpm\.json"):
        Servers().resolve(manifest(f"{OCA}/web 19.0", f"{OCA}/web 18.0"))


def test_links_out_are_refused_with_and_without_trust() -> None:
    bad = Facts(links_out=("m/static/pw -> /run/secrets/db_password",))
    for trust in ([], ["web"]):
        with pytest.raises(DescriptionError, match="web contains symbolic links that lead out of its tree") as error:
            Servers(web=bad).resolve(manifest(f"{OCA}/web", trust=trust))
        assert "m/static/pw -> /run/secrets/db_password" in str(error.value)
    with pytest.raises(DescriptionError, match="web -> queue contains"):
        Servers(web=oca("queue"), queue=bad).resolve(manifest(f"{OCA}/web"))
    with pytest.raises(DescriptionError, match="replace the links"):
        Servers().put("file:///srv/a", bad).resolve(manifest("file:///srv/a"))
    with pytest.raises(DescriptionError, match="odoo contains"):
        Servers().put("https://github.com/odoo/odoo", bad).resolve(manifest())


def test_a_flood_of_requirements_is_refused_and_one_of_warnings_is_cut() -> None:
    lines = "".join(f"p{number}\n" for number in range(MAX_REQUIREMENTS + 1))
    with pytest.raises(DescriptionError, match="web requires more than 2000 Python packages"):
        Servers(web=Facts(requirements=lines)).resolve(manifest(f"{OCA}/web"))
    broken = Facts(broken=tuple(f"m{number}/__manifest__.py" for number in range(30)))
    warnings = Servers(web=broken).resolve(manifest(f"{OCA}/web")).warnings
    assert len(warnings) == 21
    assert warnings[-1] == "… and 10 more warnings"
