"""Whatever the files of a repository contain: from its facts to the generated files and the plan, only errors of this library.

No control character reaches the terminal or a generated file, and the generated files stay readable.
"""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.image.system_packages import system_dependencies
from odpm_tasks.core.locking.lockfile import PythonLocks
from odpm_tasks.core.manifest.checks import SERVICE_KEYS
from odpm_tasks.core.odoo import addons
from odpm_tasks.core.odoo.addon_checks import AddonSource, check_addons
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.planning.observed import Checkout, RenderedState
from odpm_tasks.core.planning.planner import plan
from odpm_tasks.core.planning.step_text import LineStyle
from odpm_tasks.core.planning.text import plan_lines
from odpm_tasks.core.stack.dependency_services import fragments
from odpm_tasks.core.stack.image_inputs import image_inputs
from odpm_tasks.core.stack.render import Stack, render
from odpm_tasks.core.stack.services import summarize
from odpm_tasks.errors import OdpmError, printable
from odpm_tasks.locking.python import merged_requirements
from tests.unit.builders import OCA, PROGRAMS, Servers, manifest

ESCAPE = "\x1b[31m\x1b]0;x\x07"
TEXTS = st.sampled_from(
    ["", "a", "db", "odoo", "web", "1", "3.11", "19.0", ".", "..", "/", "/etc/passwd", "../../x", "~", "*", "-x", "--x=y",
     "${HOME}", "${X:-y}", "${", "$$", "$", "%(x)s", "a:b:c", "127.0.0.1:80:80", "80:80", "./a:/b:ro", "v:/data", "no", "x" * 300,
     "a\nb", "a\r", ESCAPE, "a\0b", "\ud800", "\udcff", "\u202egnp", "\u2028", "\x85", "é", "{{ x }}", "{% x %}", "'", '"', "#",
     "&a", "*a", "!!python/object:x", "name==1.0", "name @ https://h/${HOME}/x", "-r /etc/passwd", "Crypto.X", f"{OCA}/queue",
     "file:///etc", "ext::sh -c x", "git@h:x/y 19.0", "service_completed_successfully", "container:odoo", "host"]
) | st.text(max_size=8)  # fmt: skip
NUMBERS = st.sampled_from([0, 1, -1, 3, 10**40, 65536, 1.5, 1e300, float("nan"), float("inf"), -float("inf")])
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=5
)
SERVICE = st.dictionaries(st.sampled_from(sorted(SERVICE_KEYS)), VALUES, max_size=3).map(lambda s: {"image": "x", **s})
SERVICES = VALUES | st.dictionaries(TEXTS, VALUES | SERVICE, max_size=3)
BLOCKS = {"services": SERVICES, "service_patches": SERVICES}
KEYS = (
    "odoo_version", "python", "python_version", "requires_odpm", "odpm_version", "platform", "distro", "postgres", "hooks",
    "dependencies", "requirements", "requirements_txt", "trust", "system_packages", "odoo_conf", "locks", "database",
    "developing", "scenarios", "use_oca_dependencies", "requirements_ignore", "arch",
)  # fmt: skip


@st.composite
def descriptions(draw: st.DrawFn) -> str:
    """The text of an `odpm.json`, of either format or none."""
    data: Any = {key: draw(VALUES) for key in draw(st.lists(st.sampled_from(KEYS), max_size=4, unique=True))}
    data |= {key: draw(block) for key, block in BLOCKS.items() if draw(st.booleans())}
    if draw(st.integers(0, 4)):
        data["manifest_schema"] = draw(st.just(2) | VALUES)
    if draw(st.booleans()):
        data["scenarios"] = {"developer": {key: draw(block) for key, block in BLOCKS.items()}}
    text = json.dumps(data if draw(st.integers(0, 9)) else draw(VALUES), ensure_ascii=draw(st.booleans()))
    return text[: draw(st.integers(0, len(text)))] if not draw(st.integers(0, 9)) else text


LINES = st.lists(st.lists(TEXTS, max_size=4).map(" ".join), max_size=4).map("\n".join)
EXTERNAL = VALUES | st.dictionaries(
    st.sampled_from(["python", "bin", "deb"]), st.lists(TEXTS, max_size=3) | VALUES, max_size=3
)
LONG = f"0x{'f' * 5000}"  # Python does not print an integer of this length
MANIFESTS = (
    st.dictionaries(st.sampled_from(["version", "installable", "external_dependencies"]) | TEXTS, EXTERNAL).map(repr)
    | TEXTS
    | st.just(f"{{'version': {LONG}, 'external_dependencies': {{'python': [{LONG}]}}}}")
)
PATHS = st.lists(TEXTS, min_size=1, max_size=2).map("/".join).map(lambda path: f"{path}/__manifest__.py")


@st.composite
def repositories(draw: st.DrawFn) -> Facts:
    contents = draw(st.dictionaries(PATHS, MANIFESTS, max_size=3))
    contents |= {
        name: draw(text)
        for name, text in (("odpm.json", descriptions()), ("oca_dependencies.txt", LINES), ("requirements.txt", LINES))
        if draw(st.booleans())
    }
    data = {name: text.encode(errors="surrogatepass") for name, text in contents.items()}
    return addons.facts(sorted(data), data)


@settings(
    max_examples=150, deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck)
)
@given(repositories(), repositories(), st.sampled_from(sorted(SCENARIOS)), st.booleans())
def test_only_errors_of_this_library_and_no_control_characters(
    web: Facts, queue: Facts, scenario: str, trusted: bool
) -> None:
    described = manifest(f"{OCA}/web", scenario=scenario, **({"trust": ["web"]} if trusted else {}))
    # facts are cached as JSON
    servers = Servers(
        **{name: Facts.model_validate_json(f.model_dump_json()) for name, f in (("web", web), ("queue", queue))}
    )
    printed: list[str] = []
    try:
        resolved = servers.resolve(described, lookup={"HOME": "secret-value"}.get, strict=scenario != "developer")
        merged = merged_requirements(described, resolved, Facts())
        added = fragments(described, resolved, SCENARIOS[scenario])
        sources = [AddonSource(s.name, s.facts, s.kind == "developing", s.kind == "platform") for s in resolved.ordered]
        printed += check_addons(sources).texts(strict=False)
        needs = system_dependencies([source.facts for source in resolved.sources])
        printed += [*resolved.warnings, *added.warnings, *needs.warnings, *(line.refusal for line in merged.refused)]
        stack = Stack(
            "acme",
            SCENARIOS[scenario],
            added.merge_into(described),
            resolved,
            Facts(),
            (b"x==1\n", b""),
            PROGRAMS,
        )
        rendered = render(stack)
        image_inputs(stack, "")
        for path, data in rendered.files.items():
            bad = {char for char in data.decode() if not char.isprintable() and char != "\n"}
            assert not bad, (path, bad)
            assert "secret-value" not in data.decode()
        compose = rendered.compose.decode()
        assert set(yaml.safe_load(compose)["services"]) >= {"db", "odoo"}
        summarize(compose, {"HOME": "x"}.get)
        observed = RenderedState(
            scenario=SCENARIOS[scenario],
            manifest=described,
            lock=resolved.lock(None),
            resolution=resolved,
            python=PythonLocks("a", "a", "b"),
            fragments=added,
            checkouts={source.name: Checkout("absent") for source in resolved.sources},
            stack=stack,
            rendered=rendered,
            current={},
            image="x",
            database="x",
            modules=(),
        )
        printed += plan_lines(plan(observed), LineStyle(), verbose=True, diff=True)
        assert len(printed) < 3000
        "\n".join(merged.text).encode()
    except OdpmError as error:
        printed += str(error).splitlines()
        assert len(printed) < 1100
    for line in printed:
        shown = printable(line)
        shown.encode()
        assert shown.isprintable()
