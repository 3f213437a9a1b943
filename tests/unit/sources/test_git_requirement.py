"""Requirements of packages from git: their forms, and what is refused."""

from __future__ import annotations

import pytest

from odpm_tasks.core.sources.git_requirement import git_requirement

COMMIT = "0123456789abcdef0123456789abcdef01234567"
HOST = "https://git.example/team/tool"


@pytest.mark.parametrize(
    ("line", "text", "url"),
    [
        (f"tool @ git+{HOST}", f"tool @ git+{HOST}", HOST),
        (f"Tool_X@git+{HOST}.git@main", f"tool-x @ git+{HOST}@main", f"{HOST}.git"),
        (f"tool[b,a] @ git+{HOST}@v1#subdirectory=src/tool", f"tool[a,b] @ git+{HOST}@v1#subdirectory=src/tool", HOST),
        (f"tool @ git+{HOST}@{COMMIT.upper()}", f"tool @ git+{HOST}@{COMMIT}", HOST),
        (f"tool @ git+{HOST}@refs/pull/12/head", f"tool @ git+{HOST}@refs/pull/12/head", HOST),
        ("tool @ git+ssh://git@git.example/team/tool.git@16.0", f"tool @ git+{HOST}@16.0", "ssh://git@git.example/team/tool.git"),
        ("tool @ git+https://me:pw@git.example/team/tool", f"tool @ git+{HOST}", "https://me:pw@git.example/team/tool"),
        ("tool @ git+https://${TOKEN}@git.example/team/tool@1", f"tool @ git+{HOST}@1", "https://${TOKEN}@git.example/team/tool"),
        # pip's older form
        (f"git+{HOST}@main#egg=Tool[a]&subdirectory=src", f"tool[a] @ git+{HOST}@main#subdirectory=src", HOST),
        (f"-e git+{HOST}#egg=tool", f"tool @ git+{HOST}", HOST),
        (f"--editable=git+{HOST}#egg=tool", f"tool @ git+{HOST}", HOST),
    ],
)  # fmt: skip
def test_every_form_names_repository_ref_and_folder(line: str, text: str, url: str) -> None:
    found = git_requirement(line)
    assert found is not None
    assert (found.text, found.url) == (text, url)
    assert "pw" not in repr(found)


@pytest.mark.parametrize(
    "line", [f"tool @ git+{HOST} ; python_version > '3'", f"git+{HOST}#egg=tool ; python_version>'3'"]
)
def test_a_marker_is_kept(line: str) -> None:
    found = git_requirement(line)
    assert found is not None
    assert found.marker == 'python_version > "3"'


@pytest.mark.parametrize(
    "line", ["tool==1", "tool @ https://git.example/tool.whl", "-e .", "-r more.txt", "./tool", "gitpython"]
)
def test_other_requirements_name_none(line: str) -> None:
    assert git_requirement(line) is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"git+{HOST}", "needs the name of its package"),
        (f"git+{HOST}#egg=--x", "needs the name of its package"),
        ("tool @ git+file:///srv/tool", "a folder of this machine"),
        ("tool @ git+git@git.example:team/tool.git", "has no scheme"),
        ("tool @ git+ext::sh", "has no scheme"),
        ("tool @ git+ftp://git.example/tool", "is none of"),
        (f"tool @ git+{HOST}@--upload-pack=x", "begins with `-`"),
        (f"tool @ git+{HOST}@a..b", "ref cannot be the name of a branch"),
        ("tool @ git+https://git.example/${NAME}/tool", "its path contains `$`"),
        ("tool @ git+https://git.example/../tool", "`.` or `..`"),
        (f"tool @ git+{HOST}#subdirectory=../other", "not a folder of the repository"),
        (f"tool @ git+{HOST}#subdirectory=a;b", "not a folder of the repository"),
        (f"git+{HOST}#egg=tool ; nonsense", "not an environment marker"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_locked_is_refused_with_the_reason(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("$", r"\$").replace(".", r"\.")):
        git_requirement(line)
