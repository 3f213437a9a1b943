"""Pins of Odoo's series that are hard to lock, with the Python of the series. Real uv, the machine's index."""

from __future__ import annotations

import pytest

from odpm_tasks.core.odoo.series import series
from tests.e2e.failures import FILES, LOCKS, PLATFORM, Workspace

pytest_plugins = ["tests.e2e.workspaces"]
# old archives (PyPDF2), 2to3 (feedparser, suds-jurko, vatnumber), sources alone, lines for other systems and versions
OLD = """PyPDF2==1.26.0
feedparser==5.2.1
suds-jurko==0.6
vatnumber==1.2
psycopg2==2.7.3.1; sys_platform != 'win32'
pyldap==2.4.28; sys_platform != 'win32'
xlwt==1.3.*
gevent==1.1.2 ; sys_platform != 'win32' and python_version < '3.7'
gevent==1.3.4 ; sys_platform != 'win32' and python_version >= '3.7'
lxml ; sys_platform == 'win32'
lxml==4.2.3 ; sys_platform != 'win32' and python_version >= '3.7'
pypiwin32 ; sys_platform == 'win32'
"""
MIDDLE = """PyPDF2==1.26.0
ebaysdk==2.1.5
psycopg2==2.8.5; sys_platform == 'win32' or python_version >= '3.8'
gevent==20.9.0 ; python_version > '3.7' and python_version <= '3.9'
greenlet==0.4.17 ; python_version > '3.7' and python_version <= '3.9'
libsass==0.17.0
"""
NEW = """PyPDF2==1.26.0 ; python_version <= '3.10'
PyPDF2==2.12.1 ; python_version > '3.10'
ebaysdk==2.1.5
gevent==21.8.0 ; sys_platform != 'win32' and python_version == '3.10'  # (Jammy)
gevent==22.10.2; sys_platform != 'win32' and python_version > '3.10' and python_version < '3.12'
python-ldap==3.4.0 ; sys_platform != 'win32' and python_version < '3.12' # min version = 3.2.0
rjsmin==1.1.0 ; python_version < '3.11'  # (jammy)
rjsmin==1.2.0 ; python_version >= '3.11'
pypiwin32 ; sys_platform == 'win32'
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "requirements", "expected"),
    [
        *((name, OLD, ("suds-jurko==0.6", "vatnumber==1.2", "gevent==1.3.4")) for name in ("11.0", "12.0", "13.0")),
        *((name, MIDDLE, ("gevent==20.9.0", "psycopg2==2.8.5")) for name in ("14.0", "15.0")),
        *((name, NEW, ("pypdf2==1.26.0", "gevent==21.8.0")) for name in ("16.0", "17.0")),
        *((name, NEW, ("pypdf2==2.12.1", "gevent==22.10.2", "rjsmin==1.2.0")) for name in ("18.0", "19.0")),
    ],
)
def test_requirements_of_a_series_lock(
    workspace: Workspace, name: str, requirements: str, expected: tuple[str, ...]
) -> None:
    workspace.publish(PLATFORM, {**FILES[PLATFORM], "requirements.txt": requirements})
    workspace.describe(odoo_version=name, python=series(name).python, dependencies=[])
    workspace.bench.ok("lock")
    text = (workspace.root / LOCKS[1]).read_text(encoding="utf-8").lower()
    assert all(f"{pin} \\" in text for pin in expected), text
    assert "win32" not in text
