"""What `deploy.plan` says."""

from __future__ import annotations

import pytest

from odpm_tasks.core.odoo.installed_addons import AddonVersion
from odpm_tasks.core.targets.planning import plan

IMAGES = ("odoo@sha256:1", "odoo@sha256:1")
FILES = {"stack.yml": "1", "odoo.conf": "1", "web/Caddyfile": "1"}


@pytest.mark.parametrize(
    ("changed", "secrets", "proxied", "downtime"),
    [
        ("", (), True, "none: nothing changes"),
        ("odoo.conf", (), True, "none: new containers start beside the old ones"),
        ("", ("MAIL",), True, "none: new containers start beside the old ones"),
        ("odoo.conf", (), False, "seconds: without a proxy, one container replaces the other"),
        ("web/Caddyfile", (), True, "seconds: the reverse proxy is replaced"),
    ],
)
def test_downtime_is_what_users_see(changed: str, secrets: tuple[str, ...], proxied: bool, downtime: str) -> None:
    after = {**FILES, **({changed: "2"} if changed else {})}
    found = plan(IMAGES, FILES, after, (), proxied=proxied, secrets=secrets)
    assert found.downtime == downtime
    assert found.drift == bool(changed or secrets)


def test_the_node_of_the_volumes_is_named_and_is_no_drift() -> None:
    assert plan(("", IMAGES[1]), {}, FILES, (), proxied=True, nodes="one node").nodes == "one node"
    assert not plan(IMAGES, FILES, FILES, (), proxied=True, nodes="one node").drift


def test_secrets_and_addons_are_named() -> None:
    found = plan(
        IMAGES, FILES, FILES, (AddonVersion("sale_shop", "19.0.1.0.0", "19.0.1.1.0"),), proxied=True, secrets=("A", "B")
    )
    assert [str(step) for step in found.steps] == [
        "keep     image      odoo@sha256:1",
        "keep     files",
        "update   database   sale_shop 19.0.1.0.0 -> 19.0.1.1.0",
        "update   secrets    A, B",
    ]
    assert found.downtime.startswith("the update of 1 add-on")
