"""Python requirements: parsing, merging, and the hash of the inputs in a lock."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.locking.python_lock import inputs_digest, python_lock_header, recorded_inputs
from odpm_tasks.core.locking.python_requirements import (
    MergedRequirements,
    RequirementLine,
    external_dependency,
    merge,
    repository_requirements,
    requirement_lines,
)
from odpm_tasks.core.odoo.addons import Facts


def required(*lines: str, origin: str = "web") -> tuple[RequirementLine, ...]:
    return tuple(RequirementLine(line, origin) for line in lines)


def test_lines_of_a_file() -> None:
    text = (
        "# platform\r\n"
        "--index-url https://index.example.org/simple\n"
        "-r other.txt\n"
        "\n"
        "lxml==5.2.1 ; python_version >= '3.12'  # (Noble)\n"
        "  requests  \n"
        "zeep \\\n  >=4\n"
        "#python-ldap\n"
        "ofxparse==0.21"
    )
    assert [entry.line for entry in requirement_lines(text, "web: requirements.txt")] == [
        "--index-url https://index.example.org/simple",
        "-r other.txt",
        "lxml==5.2.1 ; python_version >= '3.12'",
        "requests",
        "zeep    >=4",
        "ofxparse==0.21",
    ]
    assert {entry.origin for entry in requirement_lines(text, "web: requirements.txt")} == {"web: requirements.txt"}


def test_lines_are_continued_as_pip_does_it() -> None:
    text = "a \\\n  # b\nc\n# d \\\ne\n   --index-url x\nf==1 \\\n  --hash=sha256:0 \\\n  --hash=sha256:1\n\ng \\"
    found = requirement_lines(text, "web: requirements.txt")
    assert [(line.line, line.number) for line in found] == [
        ("a", 1),
        ("c", 3),
        ("e", 5),
        ("--index-url x", 6),
        ("f==1", 7),
        ("g", 11),
    ]
    assert found[3].place == "web: requirements.txt, line 6"


INCLUDED = (("reqs/limits.txt", "c<2\n"), ("reqs/more.txt", "b\n-c limits.txt\n-r ../requirements.txt\n"))


def test_included_files_of_a_trusted_repository_are_lines_with_their_own_origin() -> None:
    facts = Facts(requirements="a\n-r reqs/more.txt\n-r reqs/more.txt\n-r gone.txt\n", included=INCLUDED)
    found = repository_requirements(facts, "web")
    assert [(one.line, one.place, one.constraint) for one in found if not one.refusal] == [
        ("a", "web: requirements.txt, line 1", False),
        ("b", "web: reqs/more.txt, line 1", False),
        ("c<2", "web: reqs/limits.txt, line 1", True),
    ]
    refused = [(one.line, one.place, one.refusal) for one in found if one.refusal]
    assert refused == [
        ("-r gone.txt", "web: requirements.txt, line 4", "the file is not in the repository, or too deep in it")
    ]


def test_included_files_of_a_repository_without_trust_are_not_read() -> None:
    found = repository_requirements(
        Facts(requirements="a\n-r reqs/more.txt\n", included=INCLUDED), "web", trusted=False
    )
    assert [(one.line, one.refusal) for one in found] == [
        ("a", ""),
        ("-r reqs/more.txt", "it names another file, and odpm.json does not trust the repository"),
    ]


@pytest.mark.parametrize(
    "line", ["-r more.txt", "-e .", "-c limits.txt", "--find-links x", "./wheels/x.whl", "git+https://h/x"]
)
def test_what_is_not_a_requirement_is_refused_and_not_dropped(line: str) -> None:
    merged = merge((), (), requirement_lines(f"lxml\n{line}\n", "web: requirements.txt"))
    assert [refused.line for refused in merged.refused] == [line]
    assert merged.lines == ("lxml",)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("OpenSSL", "pyOpenSSL"),
        ("yaml", "PyYAML"),
        ("zeep", "zeep"),
        ("zeep>=4", "zeep>=4"),
        ("ldap>=3 ; python_version > '3'", "python-ldap>=3 ; python_version > '3'"),
        # a module of an import name
        ("Crypto.Cipher.DES3", "pycryptodome"),
        ("usb.core", "pyusb"),
        # names that belong to other projects on the index
        ("jose", "python-jose"),
        ("barcode", "python-barcode"),
        ("cups", "pycups"),
        ("docx", "python-docx"),
    ],
)
def test_an_import_name_becomes_its_distribution(name: str, line: str) -> None:
    assert external_dependency(name, "web: x") == RequirementLine(line, "web: x")


@pytest.mark.parametrize("name", ["csv", "json", "xml.etree", "distutils", "imp"])
def test_modules_of_the_standard_library_are_no_requirements(name: str) -> None:
    assert external_dependency(name, "web: x") is None


@pytest.mark.parametrize(
    ("line", "trusted", "refusal"),
    [
        ("six==1.16.0", False, ""),
        ("six @ https://host.example/six.whl", True, ""),
        ("six @ https://host.example/six.tar.gz", True, "at an address, only a wheel (.whl) can be locked"),
        ("six @ https://host.example/six.whl?token=hunter2", True, "its address has a query"),
        ("six @ file:///srv/six.whl", True, "its address is none of git+https://"),
        ("six @ https://host.example/six.whl", False, "it bypasses the package index"),
        ("six @ git+file:///evil", False, "it bypasses the package index"),
        ("six @ git+ssh://git@host.example/six", True, ""),
        ("six @ https://me:hunter2@host.example/six.whl", True, "its address contains a login"),
        ("six @ https://token@host.example/six.whl", True, "its address contains a login"),
        ("six @ https://host.example/${TOKEN}/six.whl", True, "variables in a requirement are not expanded"),
        ("six @ git+file:///srv/six", True, "its address is a folder of this machine"),
        ("six @ git+https://${TOKEN}@host.example/six", True, ""),
        ("six @ hg+https://host.example/six", True, "its address is none of git+https://"),
        ("git+https://host.example/six#egg=six", True, ""),
        ("-e git+https://host.example/six@main#egg=six", True, ""),
        ("git+https://host.example/six#egg=six", False, "it bypasses the package index"),
        ("-e git+https://host.example/six@main#egg=six", False, "it bypasses the package index"),
        ("git+https://host.example/six", True, "an address needs the name of its package"),
        ("-r other.txt", True, "a pip option is not a requirement: such a file"),
        ("-e .", True, "a pip option is not a requirement: a path has no version"),
        ("--index-url https://host.example", True, "a pip option is not a requirement: an index is a setting"),
        ("six; " + " and ".join(["python_version > '3'"] * 50), False, "it has more than 1,000 characters"),
        ("six; os_name > 'a\nevil @ https://host.example/evil.whl'", False, "\"six; os_name > 'a\\nevil"),
        ("./six", True, "'./six' is not a requirement"),
        ("../../etc/six.whl", True, "'../../etc/six.whl' is not a requirement"),
    ],
)
def test_which_lines_can_be_locked(line: str, trusted: bool, refusal: str) -> None:
    found = RequirementLine(line, "web", trusted).refusal
    assert found.startswith(refusal) if refusal else not found


@pytest.mark.parametrize("depth", [50, 200, 300, 400, 480])
def test_a_deeply_nested_marker_is_refused_or_evaluated(depth: int) -> None:
    line = RequirementLine(f"six; {'(' * depth}os_name == 'posix'{')' * depth}", "web", trusted=False)
    merged = merge([], [], [line], python="3.12")
    assert bool(merged.lines) != bool(merged.refused)


@pytest.mark.parametrize(
    ("manifest", "platform", "others", "lines"),
    [
        ((), (), (), ()),
        (("Zeep", "lxml"), (), ("aiohttp",), ("aiohttp", "lxml", "Zeep")),
        ((), ("lxml==5",), ("lxml", "LXML>=4"), ("lxml==5",)),
        ((), ("lxml==5",), ("lxml>=6",), ("lxml==5",)),
        (("lxml==6",), ("lxml==5",), ("lxml==4",), ("lxml==6",)),
        ((), (), ("lxml>=4", "lxml<6", "lxml>=4"), ("lxml<6", "lxml>=4")),
        (
            (),
            ('gevent==22 ; python_version < "3.12"', 'gevent==24 ; python_version >= "3.12"'),
            ("gevent",),
            ('gevent==22; python_version < "3.12"', 'gevent==24; python_version >= "3.12"'),
        ),
        ((), ("python_dateutil==2",), ("python-dateutil",), ("python_dateutil==2",)),
        ((), ("qrcode==7",), ("qrcode[pil]",), ("qrcode==7", "qrcode[pil]")),
    ],
)
def test_the_manifest_overrides_the_platform_and_the_platform_the_others(
    manifest: tuple[str, ...], platform: tuple[str, ...], others: tuple[str, ...], lines: tuple[str, ...]
) -> None:
    merged = merge(required(*manifest), required(*platform), required(*others))
    assert merged.lines == lines
    assert merged.refused == ()


def test_an_overridden_line_is_reported_with_the_stronger_one() -> None:
    platform = RequirementLine("lxml==5.2.1", "odoo: requirements.txt")
    too_new, fits = RequirementLine("lxml>=6", "web: web_x"), RequirementLine("lxml>=5", "web: web_y")
    assert merge((), (platform,), (too_new, fits)) == MergedRequirements(("lxml==5.2.1",), ((too_new, platform),), ())


def test_invalid_lines_are_reported_and_left_out() -> None:
    bad = RequirementLine("not a requirement at all", "web: web_x")
    merged = merge((), (), (bad, RequirementLine("lxml", "web")))
    assert merged == MergedRequirements(("lxml",), (), (bad,))
    assert merged.text == "lxml\n"


names = st.sampled_from(["lxml", "LXML", "zeep", "py_yaml", "Py-YAML", "a", "b"])
lines = st.builds(str.__add__, names, st.sampled_from(["", "==1", ">=2", "<3", "[x]", "!", ' ; os_name == "nt"']))
groups = st.lists(lines, max_size=6).map(lambda found: required(*found))


@given(groups, groups, groups, st.randoms())
def test_the_order_of_the_lines_does_not_matter(
    manifest: tuple[RequirementLine, ...],
    platform: tuple[RequirementLine, ...],
    others: tuple[RequirementLine, ...],
    random: object,
) -> None:
    merged = merge(manifest, platform, others)
    assert merge(manifest[::-1], platform[::-1], others[::-1]).lines == merged.lines
    assert len(set(merged.lines)) == len(merged.lines)
    readable = {entry.line for entry in (*manifest, *platform, *others) if "!" not in entry.line}
    assert len(merged.refused) == len(manifest) + len(platform) + len(others) - sum(
        entry.line in readable for entry in (*manifest, *platform, *others)
    )


def test_the_header_of_a_lock_records_the_hash_of_its_inputs() -> None:
    digest = inputs_digest("3.12", "lxml\n", "debugpy")
    assert recorded_inputs(python_lock_header(digest) + "lxml==5 \\\n    --hash=sha256:00\n") == digest
    assert recorded_inputs("lxml==5\n") is None
    assert recorded_inputs("") is None
    assert all(line.startswith("# ") for line in python_lock_header(digest).splitlines())


def test_python_and_each_text_change_the_digest() -> None:
    digests = [
        inputs_digest("3.12", "lxml\n", "debugpy"),
        inputs_digest("3.11", "lxml\n", "debugpy"),
        inputs_digest("3.12", "lxml\nzeep\n", "debugpy"),
        inputs_digest("3.12", "lxml\n", "debugpy\nwatchdog"),
        inputs_digest("3.12", "lxml\ndebugpy"),
    ]
    assert len(set(digests)) == len(digests)
    assert inputs_digest("3.12", "lxml\n", "debugpy") == digests[0]


@pytest.mark.parametrize(
    ("one", "two", "satisfiable"),
    [
        ("x==1", "x==1.0", True),
        ("x==1", "x==2", False),
        ("x==1.5", "x>=1,<2", True),
        ("x==2", "x<2", False),
        ("x<2", "x>=2", False),
        ("x<=2", "x>=2", True),
        ("x>1", "x<1.0.1", True),
        ("x>1", "x<1.1", True),
        ("x~=1.4", "x<1.4", False),
        ("x~=1.4", "x<1.4.1", True),
        ("x~=1.4.2", "x>=1.5", False),
        ("x==1.4.*", "x>=1.4.7", True),
        ("x==1.4.*", "x>=1.5", False),
        ("x!=1", "x==1", False),
        ("x!=1", "x", True),
        ("x>=2", "x<3,!=2", True),
        ("x>=10", "x", True),
        ("x<0.5", "x>=0.4.9", True),
        ("x<1", "x>0.99", True),
        ("x===odd", "x==1", True),
        ("x==1.5+local", "x==1.5", True),
        ("x==1.5+local", "x!=1.5", False),
        ("x==1.5.*", "x<1.5rc1", True),
        ("x==1.5.*", "x<1.5", False),
        ("x>1.5rc1", "x<1.5.post1", True),
        ("x>1!1.5", "x>=1.5", True),
        ("x>1!1.5", "x<2", False),
        ("x>=1.4,!=1.4.*", "x<1.6", True),
        ("x>=1.4,!=1.4.*", "x<1.5", False),
        ("x>=1,!=1.*", "x<3", True),
        ("x>=1,!=1.*", "x<2", False),
    ],
)
def test_conflicts_of_equal_rank(one: str, two: str, satisfiable: bool) -> None:
    for pair in ((one, two), (two, one)):
        merged = merge((), (), (RequirementLine(pair[0], "web: a"), RequirementLine(pair[1], "web: b")))
        expected = () if satisfiable else ((RequirementLine(pair[0], "web: a"), RequirementLine(pair[1], "web: b")),)
        assert merged.conflicts == expected


def test_environment_markers_may_exclude_each_other() -> None:
    lines = ('x==1 ; python_version < "3.12"', 'x==2 ; python_version >= "3.12"')
    assert merge((), (), required(*lines)).conflicts == ()
    same = ('x==1 ; python_version < "3.12"', 'x==2 ; python_version < "3.12"')
    assert len(merge((), (), required(*same)).conflicts) == 1


def test_a_weaker_line_is_added_where_some_version_satisfies_both() -> None:
    merged = merge((), required("lxml>=5", origin="odoo"), required("lxml<6", "lxml<4"))
    assert merged.lines == ("lxml<6", "lxml>=5")
    assert merged.overridden == ((RequirementLine("lxml<4", "web"), RequirementLine("lxml>=5", "odoo")),)


def test_a_version_in_the_manifest_resolves_a_conflict() -> None:
    others = required("x==1", "x==2")
    assert merge((), (), others).conflicts
    merged = merge(required("x==3"), (), others)
    assert (merged.lines, merged.conflicts) == (("x==3",), ())


@pytest.mark.parametrize("ignore", ["MySQLdb", "mysqlclient", "MySQLClient"])
def test_a_package_to_leave_out_is_named_by_its_import_or_its_distribution(ignore: str) -> None:
    others = required("mysqlclient>=2", "zeep")
    merged = merge((), required("mysqlclient==1.4"), others, [ignore])
    assert merged.lines == ("zeep",)
    assert "mysqlclient" in merged.excluded
    # what the manifest requires is never left out
    assert merge(required("mysqlclient"), (), others, [ignore]).lines == ("mysqlclient", "mysqlclient>=2", "zeep")
    assert "mysqlclient" not in merge(required("mysqlclient"), (), others, [ignore]).excluded


def test_origins_are_kept_by_normalized_name() -> None:
    merged = merge(required("Zope.Interface", origin="odpm.json"), (), required("zope-interface>=5"))
    assert merged.origins == {
        "zope-interface": (RequirementLine("Zope.Interface", "odpm.json"), RequirementLine("zope-interface>=5", "web"))
    }


def test_comments_and_hashes_are_not_part_of_a_requirement() -> None:
    text = "lxml==5.0\t# why\nrequests==2.0 --hash=sha256:0\n# all\n-r other.txt\n"
    assert [row.line for row in requirement_lines(text, "x")] == ["lxml==5.0", "requests==2.0", "-r other.txt"]


def test_an_extra_that_a_weaker_line_asks_for_is_added_to_an_exact_version_only() -> None:
    assert merge((), required("qrcode>=7"), required("qrcode[pil,test]>=6")).lines == (
        "qrcode>=7",
        "qrcode[pil,test]>=6",
    )
    assert merge((), required("qrcode===7"), required("qrcode[test,pil]>=6")).lines == (
        "qrcode===7",
        "qrcode[pil,test]",
    )


def test_overridden_lines_and_conflicts_of_every_package_are_reported() -> None:
    platform, others = required("a==1", "b==1", origin="odoo"), required("a==2", "b==2", "x==1", "x==2", "y==1", "y==2")
    merged = merge((), platform, others)
    assert [weak.line for weak, _ in merged.overridden] == ["a==2", "b==2"]
    assert [[one.line, two.line] for one, two in merged.conflicts] == [["x==1", "x==2"], ["y==1", "y==2"]]
    assert merged.text == "".join(f"{line}\n" for line in merged.lines)


def test_lines_with_a_comment_or_nothing_else() -> None:
    others = required("", "# x", "x==1  # a comment", "y --hash=sha256:1")
    found = merge((), (), others)
    assert (found.lines, found.refused) == (("x==1", "y"), ())
    assert [line.refusal for line in others] == [""] * 4
    bypass = RequirementLine("x @ https://h/x.zip # a comment", "web", trusted=False)
    assert "bypasses the package index" in bypass.refusal


def test_many_lines_of_one_package_take_seconds() -> None:
    begin = time.monotonic()
    merge((), (), required(*(f"x!={number}" for number in range(2000))))
    assert time.monotonic() - begin < 20
