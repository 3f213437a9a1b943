"""Paths in Odoo's container as paths in the checkout."""

from __future__ import annotations

import pytest

from odpm_tasks.core.config.container_paths import ContainerPaths

SRC = "/opt/odoo/src"
PATHS = ContainerPaths(
    [
        ("", f"{SRC}/project"),
        ("shop/addons", f"{SRC}/project/addons"),
        (".odpm/src/web", f"{SRC}/web"),
        (".odpm/src/web-api", f"{SRC}/web-api"),
        (".odpm/src/crm_mail", f"{SRC}/crm_mail/crm_mail"),
    ]
)


@pytest.mark.parametrize(
    ("inside", "checkout"),
    [
        (f"{SRC}/project/addons/acme/models/a.py", "shop/addons/acme/models/a.py"),  # the deepest folder counts
        (f"{SRC}/project/tools/x.py", "tools/x.py"),
        (f"{SRC}/project", "."),
        (f"{SRC}/web", ".odpm/src/web"),
        (f"{SRC}/web-api/x.py", ".odpm/src/web-api/x.py"),
        (f"{SRC}/crm_mail/crm_mail/models/x.py", ".odpm/src/crm_mail/models/x.py"),  # a repository that is an add-on
        ("/usr/lib/x.py", "/usr/lib/x.py"),
        (f"/mnt{SRC}/web/x.py", f"/mnt{SRC}/web/x.py"),
        (f"{SRC}/website/x.py", f"{SRC}/website/x.py"),
    ],
)
def test_a_path_alone_and_in_a_text(inside: str, checkout: str) -> None:
    assert PATHS.in_checkout(inside) == checkout
    assert PATHS.in_text(f'  File "{inside}/end.py", line 1\n<a title="{inside}/end.py">') == (
        f'  File "{checkout}/end.py", line 1\n<a title="{checkout}/end.py">'.replace('"./', '"')
    )


def test_without_folders_every_path_stays() -> None:
    assert ContainerPaths([]).in_checkout("/opt/x.py") == "/opt/x.py"
    assert ContainerPaths([]).in_text("/opt/x.py") == "/opt/x.py"
