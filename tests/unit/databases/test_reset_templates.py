"""Templates of db.reset: which ones prune removes."""

from __future__ import annotations

from odpm_tasks.core.databases.reset_templates import last_uses, old_templates, template_comment

DAY = 86400.0
COMMENTS = {
    "odpm.template.a": template_comment(10 * DAY),
    "odpm.template.b": template_comment(9 * DAY),
    "odpm.snapshot.c": '{"odpm": "snapshot"}',
    "odpm.new.d": None,
    "project": "odpm: template of mine",
}


def test_the_latest_template_is_kept_while_it_is_used() -> None:
    assert last_uses(COMMENTS) == {"odpm.template.a": 10 * DAY, "odpm.template.b": 9 * DAY}
    assert old_templates(COMMENTS, 12 * DAY, 7) == {"odpm.template.b": 9 * DAY}
    assert [*old_templates(COMMENTS, 17 * DAY, 7)] == ["odpm.template.a", "odpm.template.b"]
    assert old_templates({}, 0, 7) == {}
