"""A backup whose time is missed, and what is kept of many days."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.backups import backup_status, repository_at, restic, stored
from tests.e2e.harness import Bench, docker, eventually

pytestmark = [pytest.mark.docker, pytest.mark.long]

DAY = 86400
KEEP = {"daily": 7, "weekly": 4, "monthly": 12}
# the process of the script that waits for the time of the schedule, not the one that started it
LOOP = """
for folder in /proc/[0-9]*; do
    [ "$(tr '\\0' ' ' < $folder/cmdline)" = "/bin/sh /odpm/backup.sh serve " ] && kill -{signal} "${{folder#/proc/}}"
done
"""
# as if nothing had happened since a time in the past
PAST = "cd /var/tmp/odpm/state && for name in since attempt success; do echo {time} > $name; done"


def health(bench: Bench) -> str:
    return str(bench.containers()["backup"]["State"]["Health"]["Status"])


def signal(bench: Bench, name: str) -> None:
    ran = bench.inside("sh", "-c", LOOP.format(signal=name), service="backup")
    assert ran.code in {0, 1}, ran.output


def set_past(bench: Bench) -> None:
    ran = bench.inside("sh", "-c", PAST.format(time=int(time.time()) - 3 * DAY), service="backup")
    assert ran.code == 0, ran.output


def test_a_missed_backup_is_reported_and_made_up_for(server_stack: Bench, tmp_path: Path) -> None:
    described = {"repository": "${BACKUP_TARGET}"}
    earlier = datetime.now(UTC) - timedelta(hours=4)
    try:
        server_stack.edit(backup={**described, "schedule": earlier.strftime("%H:%M")})
        server_stack.commit("Another time")
        with repository_at(server_stack, tmp_path / "missed"):
            server_stack.ok("backup.run")
            signal(server_stack, "STOP")
            set_past(server_stack)
            problem = f"the backup of {earlier:%Y-%m-%d %H:%M} was not made"
            assert backup_status(server_stack)["problem"] == problem
            assert f"PROBLEM: {problem}" in server_stack.ok("status").out
            eventually(lambda: health(server_stack) == "unhealthy", 90)
            assert len(stored(server_stack)) == 1
            container = str(server_stack.containers()["backup"]["Id"])
            docker("kill", "--signal=KILL", container)
            assert backup_status(server_stack)["problem"] == "the service backup does not run"
            docker("start", container)
            eventually(lambda: len(stored(server_stack)) == 2, 120)
            eventually(lambda: backup_status(server_stack)["problem"] == "", 60)
            eventually(lambda: health(server_stack) == "healthy", 90)
    finally:
        server_stack.edit(backup=described)
        server_stack.commit("The usual time")
        server_stack.ok("up")


def expected(times: list[datetime]) -> set[datetime]:
    """What the default of `keep` leaves: the newest of each of the last days, weeks and months that have one, and the last day."""
    newest = sorted(times, reverse=True)
    periods: dict[str, Callable[[datetime], object]] = {
        "daily": lambda one: one.date(),
        "weekly": lambda one: one.isocalendar()[:2],
        "monthly": lambda one: (one.year, one.month),
    }
    kept = {one for one in newest if one > newest[0] - timedelta(days=1)}
    for name, period in periods.items():
        found: dict[object, datetime] = {}
        for one in newest:
            found.setdefault(period(one), one)
        kept |= {*list(found.values())[: KEEP[name]]}
    return kept


def test_what_is_kept_of_many_days(server_stack: Bench, tmp_path: Path) -> None:
    with repository_at(server_stack, tmp_path / "kept") as folder:
        server_stack.ok("backup.run")
        now = datetime.now(UTC).replace(microsecond=0)
        past = [now - timedelta(days=days, minutes=1) for days in (*range(1, 46), *range(52, 460, 9))]
        past += [one - timedelta(hours=2) for one in past[:10]]
        made = "\n".join(
            f'restic -q backup --host "$host" --tag "$tags" --time "{one:%Y-%m-%d %H:%M:%S}" .' for one in past
        )
        script = f"""
            set -e; json=$(restic snapshots --json)
            tags=$(echo "$json" | sed 's/.*"tags":\\["\\([^]]*\\)"\\].*/\\1/; s/","/,/g')
            host=$(echo "$json" | sed 's/.*"hostname":"\\([^"]*\\)".*/\\1/')
            mkdir -p /var/lib/odoo/odpm-backup/project && cd /var/lib/odoo/odpm-backup/project
            echo x > manifest.json
            {made}"""
        restic(server_stack, folder, script, "--tmpfs=/var/lib/odoo:mode=1777", "--env=TZ=UTC")
        before = [datetime.fromisoformat(one["time"]) for one in stored(server_stack)]
        assert len(before) == len(past) + 1
        server_stack.ok("backup.run")
        after = {datetime.fromisoformat(one["time"]) for one in stored(server_stack)}
        new = max(after)
        assert new not in before
        assert after == expected([*before, new])
        assert 18 <= len(after) <= 26
