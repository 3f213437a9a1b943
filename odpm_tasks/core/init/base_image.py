"""What a Dockerfile of an Odoo project says: the version of Odoo, and the packages that its commands install.

`apt-get install` and `pip install` with plain names are read; every other command is reported.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from odpm_tasks.core.init.conversion import VERSION, excerpt
from odpm_tasks.core.init.remarks import Remark, action, note
from odpm_tasks.core.init.requirements import packages, requirements
from odpm_tasks.core.manifest.fields import SERIES

_TAG = r"(?::([\w.-]+))?(?:@sha256:[0-9a-f]+)?"
ODOO_IMAGE = re.compile(rf"(?:[\w.:-]+/)*(?:odoo|ocb|doodba){_TAG}", re.IGNORECASE)
ODOO_VARIANT = re.compile(rf"(?:[\w.:-]+/)*odoo[-_](?!.*(?:nginx|proxy|postgres|backup))[\w-]+{_TAG}", re.IGNORECASE)
_SERIES = re.compile(r"(?:^|[^\d.])(\d{1,2})(?:\.0)?(?=$|[-_.](?!\d+\.))")
_DATE = re.compile(r"-(20\d{6})$")
_IDLE = ("FROM", "ARG", "LABEL", "MAINTAINER", "USER", "WORKDIR", "EXPOSE", "SHELL", "STOPSIGNAL")
_OF_ODPM = {  # what odpm does in its own way, by instruction
    "COPY": re.compile(r".*(addons|requirements|\.conf|odoo\.cfg|-src|/src|setup\.py|VERSION).*"),
    "ADD": re.compile(r".*(addons|requirements|\.conf|-src|/src).*"),
    "ENV": re.compile(r"(ADDONS_PATH|PYTHON\w+|LANG|LC_ALL|DEBIAN_FRONTEND|ODOO_(VERSION|RC)|PIP_\w+)[ =].*"),
    "ENTRYPOINT": re.compile(r".*entrypoint.*"),
    "CMD": re.compile(r".*odoo.*"),
}
_CLEANING = (
    "apt-get update",
    "apt update",
    "apt-get clean",
    "apt-get purge",
    "apt-get remove",
    "apt-get autoremove",
    "rm -rf",
    "set ",
    "cd ",
)


@dataclass
class BaseImage:
    """What was found. `files`: requirements files that pip installs, by their path in the build context."""

    odoo: str = ""
    build_date: str = ""
    system_packages: list[str] = field(default_factory=list)
    requirements: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


def tag(image: str) -> tuple[str, str]:
    """Series and build date in the tag of an Odoo image, such as `odoo:16` and `odoo:16.0-20240301`; empty if not there."""
    found = ODOO_IMAGE.fullmatch(image) or ODOO_VARIANT.fullmatch(image)
    text = (found[1] or "") if found else ""
    series, date = _SERIES.match(text), _DATE.search(text)
    return (f"{series[1]}.0" if series else "", date[1] if date else "")


def read(text: str, where: str, arguments: dict[str, str]) -> BaseImage:
    """Read a Dockerfile. `arguments`: build arguments of the Compose file."""
    image = BaseImage()
    lost: list[str] = []
    values = dict(arguments)
    for instruction, rest in _instructions(text):
        if instruction == "ARG":
            name, _, default = rest.partition("=")
            values.setdefault(name.strip(), default.strip().strip("\"'"))
        elif instruction == "FROM":
            _from(image, rest, values, where)
        elif instruction == "RUN":
            _run(image, rest, where, lost)
        elif instruction not in _IDLE and not (instruction in _OF_ODPM and _OF_ODPM[instruction].fullmatch(rest)):
            lost.append(f"{instruction} {rest}")
    if re.fullmatch(SERIES, values.get(VERSION, "")) and values[VERSION] != "master":
        image.odoo = image.odoo or values[VERSION]
    if lost:
        image.remarks.append(
            Remark(
                f"{where}: {'; '.join(excerpt(line, 60) for line in lost[:5])}{'; …' if len(lost) > 5 else ''}: odpm "
                "generates the Dockerfile; a template (.odpm/templates) can extend it"
            )
        )
    return image


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", " ", "\n".join(lines))
    pairs = (line.strip().partition(" ") for line in joined.splitlines() if line.strip())
    return [(word.upper(), " ".join(rest.split())) for word, _, rest in pairs if re.fullmatch(r"[A-Za-z]+", word)]


def _from(image: BaseImage, rest: str, values: dict[str, str], where: str) -> None:
    name = next((word for word in rest.split() if not word.startswith("--")), "")
    name = re.sub(r"\$\{?(\w+)(?::?-([^}]*))?\}?", lambda found: values.get(found[1]) or found[2] or "", name)
    odoo, date = tag(name)
    image.odoo, image.build_date = image.odoo or odoo, image.build_date or date
    if "enterprise" in name:
        image.remarks.append(
            action(
                f"{where}: {excerpt(name)} contains Odoo Enterprise: put git@github.com:odoo/enterprise.git first in the "
                "dependencies"
            )
        )


def _run(image: BaseImage, rest: str, where: str, lost: list[str]) -> None:
    for command in re.split(r"\s*(?:&&|;|\|\|)\s*", rest):
        text = command.strip()
        try:
            words = shlex.split(text)
        except ValueError:
            lost.append(f"RUN {text}")
            continue
        if not words or text.startswith(_CLEANING):
            continue
        arguments = _installed(words, ("apt-get", "apt"))
        if arguments is not None:
            names, bad = packages(" ".join(word for word in arguments if not word.startswith("-")), where)
            image.system_packages += names
            image.remarks += [Remark(line) for line in bad]
        elif (arguments := _installed(words, ("pip", "pip3", "uv"))) is not None:
            _pip(image, arguments, where)
        else:
            lost.append(f"RUN {text}")


def _installed(words: list[str], programs: tuple[str, ...]) -> list[str] | None:
    """The words after `PROGRAM … install`; None for another command."""
    words = words[1:] if words[0] == "sudo" else words
    if len(words) > 2 and re.fullmatch(r"python3?(\.\d+)?", words[0]) and words[1] == "-m":
        words = words[2:]
    if not words or words[0].rpartition("/")[2] not in programs or "install" not in words:
        return None
    return words[words.index("install") + 1 :]


def _pip(image: BaseImage, arguments: list[str], where: str) -> None:
    names: list[str] = []
    words = iter(arguments)
    for word in words:
        if word in ("-r", "--requirement"):
            image.files.append(next(words, ""))
        elif word.startswith("-r") and len(word) > 2:
            image.files.append(word[2:])
        elif word in ("-e", "--editable"):
            names.append(f"-e {next(words, '')}")
        elif word in ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-c", "--constraint"):
            image.remarks.append(action(f"{where}: pip {word} {excerpt(next(words, ''))}: not converted"))
        elif not word.startswith("-"):
            names.append(word)
    known = [
        name for name in names if name not in ("pip", "setuptools", "wheel") and not name.startswith(("pip=", "pip<"))
    ]
    kept, skipped = requirements(known, where)
    image.requirements += kept
    image.remarks += [line if isinstance(line, Remark) else Remark(line) for line in skipped]
    if len(known) < len(names):
        image.remarks.append(note(f"{where}: pip, setuptools, wheel: uv installs the packages"))
