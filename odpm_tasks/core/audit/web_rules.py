"""Rules of `audit` for the reverse proxy, from what it answers, and for backups, from what their service knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from odpm_tasks.core.audit.stack_audit import AuditFinding
from odpm_tasks.core.manifest.server_model import Web
from odpm_tasks.core.stack.status import BackupData

_RENEWED = timedelta(days=14)  # before the end; authorities and programs renew a month before it


def of_certificate(
    web: Web, domain: str, expires: datetime | None, matches: bool, now: datetime
) -> Iterator[AuditFinding]:
    """`expires`: None where it has expired. The certificates of the internal authority live for hours and are always renewed."""
    todo = {
        "files": "replace the files of web.tls in odpm.json, then inv up",
        "auto": "inv logs web names the reason; the authority must reach port 80 or 443 of the domain",
    }.get(web.tls, "inv logs web")
    if not matches:
        what = "browsers refuse the certificate: it is for another name"
        yield AuditFinding("certificate", "error", domain, what, "asked for this domain", todo)
    if expires is None:
        yield AuditFinding("certificate", "error", domain, "the certificate has expired", "TLS handshake", todo)
    elif web.tls != "internal" and expires - now < _RENEWED:
        days = (expires - now).days
        evidence = f"expires {expires:%Y-%m-%d}"
        yield AuditFinding("certificate", "error", domain, f"the certificate expires in {days} days", evidence, todo)


def of_answers(domain: str, headers: Mapping[str, str], cookies: Sequence[str], manager: int) -> Iterator[AuditFinding]:
    """`headers`, `cookies`: of the login page. `manager`: the status of the database manager."""
    todo = "compare .odpm/templates/Caddyfile.j2 with the template of odpm; or inv logs web"
    if "strict-transport-security" not in headers:
        what = "browsers may use HTTP next time"
        yield AuditFinding("web", "error", domain, what, "no Strict-Transport-Security", todo)
    for cookie in cookies:
        if "; secure" not in cookie.lower():
            what = "browsers send a cookie without encryption, too"
            yield AuditFinding("web", "error", domain, what, cookie.partition("=")[0], todo)
    if manager == 200:
        what = "the database manager is open"
        yield AuditFinding("database-manager", "error", domain, what, f"/web/database/manager: {manager}", todo)


def of_backups(state: BackupData | None) -> Iterator[AuditFinding]:
    """`state`: None without backups."""
    if state is None:
        return
    if state.problem and not state.running:
        last = f"last complete one: {state.last or 'none'}"
        yield AuditFinding("backup", "error", state.repository, state.problem, last, "inv backup.run")
    if state.last and not state.verified:
        what = "no backup was ever restored and compared"
        yield AuditFinding("backup", "note", state.repository, what, f"last one: {state.last}", "inv backup.verify")
