"""Links: what is read, what is refused, which spellings are one repository, which folder each gets."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.sources.link import Link, canonical, masked, parse_link, source_names, without_credentials
from odpm_tasks.errors import DescriptionError, OdpmError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("https://github.com/odoo/odoo.git", Link("https://github.com/odoo/odoo.git")),
        (" https://github.com/OCA/web \t 19.0\n", Link("https://github.com/OCA/web", "19.0")),
        (f"git@github.com:OCA/web.git 19.0 {COMMIT.upper()}", Link("git@github.com:OCA/web.git", "19.0", COMMIT)),
        ("HTTPS://host/x feature/a-b", Link("https://host/x", "feature/a-b")),
        ("ssh://git@host:2222/a/b", Link("ssh://git@host:2222/a/b")),
        ("git://127.0.0.1:9418/web", Link("git://127.0.0.1:9418/web")),
        ("https://host:1/x", Link("https://host:1/x")),
        ("https://host:65535/x", Link("https://host:65535/x")),
        ("http://[::1]:8080/web.git", Link("http://[::1]:8080/web.git")),
        ("https://user:p@ss@host/a", Link("https://user:p@ss@host/a")),
        ("file:///srv/my%20addons", Link("file:///srv/my%20addons")),
        ("file:///srv/аддоны", Link("file:///srv/аддоны")),
    ],
)
def test_parse(text: str, link: Link) -> None:
    assert parse_link(text) == link


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        (" \t", "empty"),
        ("ext::sh -c touch% /tmp/x", "git run a program"),
        ("ext::x", "git run a program"),
        ("fd::17", "git run a program"),
        ("--upload-pack=x", "like an option"),
        ("-x", "like an option"),
        ("../web", "it is a path"),
        ("./web", "it is a path"),
        ("/srv/web", "it is a path"),
        ("web", "none of"),
        ("host:path", "none of"),
        ("C:\\addons", "none of"),
        ("ftp://host/x", "`ftp://` is none of"),
        ("data://x/y", "`data://` is none of"),
        ("https://host", "cannot be read"),
        ("https://host/", "no repository"),
        ("https://host/.git", "no repository"),
        ("https:///x", "cannot be read"),
        ("https://-oProxyCommand=x/y", "cannot be read"),
        ("ssh://-oProxyCommand=x/y", "cannot be read"),
        ("git@-oProxyCommand:y", "none of"),
        ("git@host:-x", "begins with `-`"),
        ("https://host:99999/x", "port"),
        ("https://host:port/x", "cannot be read"),
        ("https://host/a/../b", "`.` or `..`"),
        ("https://host/a/%2e%2e/b", "`.` or `..`"),
        ("https://host/x?token=1", "no `?`"),
        ("https://host/x#main", "no `?`"),
        ("https://host/$(id)", "`$`"),
        ("https://host/x;id", "`;`"),
        ("https://host/`id`", "```"),
        ("https://host/${NAME}", "`$`"),
        ("https://host/x\\y", "`\\`"),
        ("https://host/x\x00", "control character (U+0000)"),
        ("https://host/x\x1b[0m", "control character (U+001B)"),
        ("https://host/x\u00a019.0", "invisible character (U+00A0)"),
        ("https://host/x\u202e", "invisible character (U+202E)"),
        ("https://host/x\u200b", "invisible character (U+200B)"),
        ("file://srv/addons", "absolute path and no host"),
        ("file://localhost/srv", "absolute path and no host"),
        ("file:////srv", "absolute path and no host"),
        ("file://", "absolute path and no host"),
        ("file:///", "whole file system"),
        ("file:///srv/..", "whole file system"),
        ("file:///srv/%00", "control character"),
        ("file:///srv/a%0Ab", "control character (U+000A)"),
        ("ssh://-oProxyCommand=x@host/y", "its user begins with `-`"),
        ("https://host/a%0Ab", "control character (U+000A)"),
        ("ssh://a%0Ab@host/x", "control character (U+000A)"),
        ("ssh://a@%0Ab@host/x", "control character (U+000A)"),
        ("https://host:0/x", "port"),
        ("https://host:65536/x", "port"),
        ("https://host/a/./b", "`.` or `..`"),
        # git would fetch these from evil.example, and their identity would be that of a repository on host
        ("https://evil.example?@host/x", "cannot be read"),
        ("https://evil.example#@host/x", "cannot be read"),
        ("https://evil.example:8443?a@host/x", "cannot be read"),
        ("https://evil.example\\@host/x", "cannot be read"),
        ("ssh://evil.example?@host/x", "cannot be read"),
        ("https://[evil@host/x", "cannot be read"),
        ("https://a\u2100b@host/x", "cannot be read"),
        ("https://[1.2]/x", "cannot be read"),
        ("https://[::::]/x", "cannot be read"),
        ("https://a..b/x", "its host cannot be read"),
        ("https://host/x @", "name of a branch"),
        ("https://host/x a/", "name of a branch"),
        ("https://host/x a.", "name of a branch"),
        ("https://host/x .a", "name of a branch"),
        (f"file:///srv/x 19.0 {COMMIT}", "never moved"),
        ("https://host/x -b", "branch begins"),
        ("https://host/x a..b", "name of a branch"),
        ("https://host/x a:b", "name of a branch"),
        ("https://host/x a@{1}", "name of a branch"),
        ("https://host/x a.lock", "name of a branch"),
        ("https://host/x /a", "name of a branch"),
        (f"https://host/x {COMMIT}", "second word is a commit"),
        ("https://host/x 19.0 abc123", "40 hex digits"),
        (f"https://host/x 19.0 {COMMIT}0", "40 hex digits"),
        (f"https://host/x 19.0 {COMMIT} more", "more than three words"),
    ],
)
def test_refused_links(text: str, reason: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_link(text)
    assert reason in caught.value.what
    assert caught.value.exit_code == 4
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://me:hunter2@host/x?y",
        "https://hunter2@host",
        "https://me:hun?ter2@host/x -b",
        "https://me:hunter2/x@host/y",
        "https://me:hunter2@host/x second@third x",
        "me:hunter2@host:x",
        "https://me:x hunter2@host/x",
        "hunter2//x@host:y",
        "ext::https://me:hunter2@host/x",
        "https://host/x?token=hunter2",
    ],
)
def test_the_error_of_a_link_shows_no_secret(text: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_link(text)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in masked(text)


@pytest.mark.parametrize(
    ("url", "identity"),
    [
        ("https://github.com/OCA/web.git", "https://github.com/OCA/web"),
        ("https://GitHub.com/OCA/Web/", "https://github.com/OCA/Web"),
        ("https://github.com/OCA/web.git/", "https://github.com/OCA/web"),
        ("https://me:pw@github.com:443/OCA/web", "https://github.com/OCA/web"),
        ("http://github.com:80/OCA/web", "https://github.com/OCA/web"),
        ("git@github.com:OCA/web.git", "https://github.com/OCA/web"),
        ("git@github.com:/OCA/web.git", "https://github.com/OCA/web"),
        ("ssh://git@github.com/OCA/web.git", "https://github.com/OCA/web"),
        ("ssh://git@github.com:22/OCA/web", "https://github.com/OCA/web"),
        ("ssh://git@host:2222/OCA/web", "https://host:2222/OCA/web"),
        ("ssh://git@ssh.github.com:443/OCA/web", "https://ssh.github.com/OCA/web"),
        ("git://host:9418/web", "https://host/web"),
        ("https://host:8443/web", "https://host:8443/web"),
        ("http://host:443/web", "https://host/web"),
        ("https://host:/web", "https://host/web"),
        ("https://host//a///b", "https://host/a/b"),
        ("https://github.com/OCA/web/.git", "https://github.com/OCA/web"),
        ("https://GitHub.com./OCA/web", "https://github.com/OCA/web"),
        ("file:///srv/web/", "file:///srv/web"),
        ("file:///srv/./x/../web.git", "file:///srv/web.git"),
        ("/srv/web", "file:///srv/web"),
        ("../somewhere", "../somewhere"),
    ],
)
def test_canonical(url: str, identity: str) -> None:
    assert canonical(url) == identity
    assert canonical(identity) == identity


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@host/x", "https://host/x"),
        ("https://token@host/x", "https://host/x"),
        ("ssh://git:pw@host/x", "ssh://git@host/x"),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("https://me:pw@host/x://y", "https://host/x://y"),
        ("https://host/x@y/z", "https://host/x@y/z"),
        ("git@host:x", "git@host:x"),
        ("file:///srv/a@b", "file:///srv/a@b"),
        ("https://host/x@y", "https://host/x@y"),
    ],
)
def test_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@pytest.mark.parametrize(
    ("url", "owner", "name"),
    [
        ("https://github.com/OCA/web.git", "OCA", "web"),
        ("git@github.com:OCA/server-tools", "OCA", "server-tools"),
        ("https://gitlab.com/group/sub/repo", "sub", "repo"),
        ("https://host/web", "host", "web"),
        ("file:///srv/my%20addons/", "srv", "my-addons"),
        ("file:///srv/addons.git", "srv", "addons"),
        ("https://host/me/...", "me", "_"),
        ("https://host/me/%2Egit", "me", "_"),
        ("https://host/me/.GIT", "me", "_"),
        ("https://host/me/-x", "me", "x"),
        ("https://git.sr.ht/~me/a%2Cb", "me", "a-b"),
    ],
)
def test_name_and_owner(url: str, owner: str, name: str) -> None:
    link = parse_link(url)
    assert (link.owner, link.name) == (owner, name)


def names(*urls: str) -> list[str]:
    links = [parse_link(url) for url in urls]
    result = source_names(links)
    assert source_names(reversed(links)) == result
    return [result[link.canonical] for link in links]


def test_source_names() -> None:
    assert names("https://h/OCA/web", "https://h/odoo/odoo") == ["web", "odoo"]
    assert names("https://h/OCA/web", "git@h:OCA/web.git") == ["web", "web"]
    assert names("https://h/OCA/web", "https://h/me/web", "https://h/x/y") == ["OCA-web", "me-web", "y"]
    assert names("https://h/OCA/web", "https://h/me/Web") == ["OCA-web", "me-Web"]
    assert names("https://h/a/\uac00", "https://h/b/\u1100\u1161") == ["a-\uac00", "b-\u1100\u1161"]  # equal on macOS
    assert names("https://a/OCA/web", "https://b/OCA/web") == ["a-OCA-web", "b-OCA-web"]
    assert names("https://h/OCA/web", "https://h/me/web", "https://h/x/OCA-web") == ["h-OCA-web", "me-web", "x-OCA-web"]


def test_repositories_that_differ_only_in_odd_characters_get_distinct_folders() -> None:
    folders = names("https://h/OCA/a~b", "https://h/OCA/a!b", "https://h/OCA/a-b")
    assert len(set(folders)) == 3
    assert all(folder.startswith("OCA-a-b-") for folder in folders)


def test_a_message_shows_the_login_name_git_and_no_other() -> None:
    assert masked("git@host:OCA/web") == "git@host:OCA/web"
    assert masked("me@host:OCA/web") == "***@host:OCA/web"


word = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=8)
urls = st.one_of(
    st.builds("https://{}/{}/{}.git".format, word.map(lambda host: host.strip("_") or "h"), word, word),
    st.builds("git@{}.org:{}/{}".format, word.map(lambda host: host.strip("_") or "h"), word, word),
    st.builds("file:///{}/{}".format, word, word),
)


@given(url=urls, branch=st.none() | word, pin=st.booleans())
def test_round_trip(url: str, branch: str | None, pin: bool) -> None:
    link = Link(url, branch, COMMIT if pin and branch and not url.startswith("file") else None)
    assert parse_link(str(link)) == link


@given(st.text())
def test_any_text_is_a_link_or_an_error(text: str) -> None:
    try:
        link = parse_link(text)
    except OdpmError:
        return
    assert parse_link(str(link)).canonical == link.canonical


@given(st.text() | urls)
def test_canonical_is_idempotent(url: str) -> None:
    assert canonical(canonical(url)) == canonical(url)


@given(st.lists(urls, max_size=12))
def test_names_are_distinct(found: list[str]) -> None:
    links = [parse_link(url) for url in found]
    result = source_names(links)
    assert set(result) == {link.canonical for link in links}
    assert len({name.casefold() for name in result.values()}) == len(result)
    assert all(name and "/" not in name and not name.startswith("-") for name in result.values())


@given(st.text() | urls | st.builds("{}{}".format, urls, st.text()))
def test_every_accepted_link_has_a_safe_folder_name(text: str) -> None:
    try:
        link = parse_link(text)
    except OdpmError:
        return
    for name in (link.name, link.owner):
        assert name
        assert not set(name) & set("/\\\0\n")
        assert name not in {".", "..", ".git"}
    assert link.is_file == bool(link.path)
    assert link.canonical == canonical(without_credentials(link.url))


@given(
    st.sampled_from(["https://{}:{}@h/x", "https://{}:{}@h/x?y", "ssh://{}:{}@h/x -b", "ext::https://{}:{}@h/x"]), word
)
def test_no_form_of_a_link_shows_its_password(form: str, user: str) -> None:
    text = form.format(user, "hunter2")
    assert "hunter2" not in masked(text)
    assert "hunter2" not in canonical(text) or text.startswith("ext::")
    try:
        said = str(parse_link(text))
    except OdpmError as error:
        said = str(error)
    assert "hunter2" not in said


@given(st.text())
def test_any_text_can_be_masked(text: str) -> None:
    assert masked(text).isprintable()
    without_credentials(text)


def test_a_long_name_is_shortened_to_what_a_file_system_takes() -> None:
    (folder,) = names("https://h/o/" + "ж" * 300)
    assert set(folder) == {"ж"}
    assert 170 < len(folder.encode()) <= 180
    assert len(names("https://h/o/x" + "ж" * 300)[0].encode()) < 181
