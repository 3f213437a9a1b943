"""`web.base.url` of databases: the address of the reverse proxy, which a login under another address does not change."""

from __future__ import annotations

from collections.abc import Mapping

from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.databases.sql import IS_NEUTRALIZED, literal, set_parameter
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.compose_file import DATABASE
from odpm_tasks.core.stack.web.address import address, web_of
from odpm_tasks.stack import up
from odpm_tasks.stack.databases.contents import database_names
from odpm_tasks.stack.databases.psql import sql


def follow_domain(paths: ProjectPaths, observed: RenderedState) -> None:
    """Set the parameter in every database of the stack that holds Odoo, where it has the proxy; not in neutralised ones.

    Odoo keeps parameters in memory: the containers that serve afterwards are started after this.
    """
    web = web_of(observed.scenario, observed.manifest)
    if web is None:
        return
    parameters = {"web.base.url": address(web, paths.settings), "web.base.url.freeze": "True"}
    script = follow_script(parameters)
    container = up.container(paths, observed, DATABASE).id
    for name in database_names(container):
        sql(container, script, name)


def follow_script(parameters: Mapping[str, str]) -> str:
    """A statement that sets system parameters in a database that holds Odoo and is not neutralised."""
    body = "; ".join(f"EXECUTE {literal(set_parameter(key, value))}" for key, value in parameters.items())
    unless = f"IF NOT {IS_NEUTRALIZED} THEN {body}; END IF"
    return f"DO $odpm$BEGIN IF to_regclass('ir_config_parameter') IS NOT NULL THEN {unless}; END IF; END$odpm$"
