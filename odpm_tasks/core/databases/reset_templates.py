"""The templates that `db.reset` copies: what is recorded of each, and which ones are not used any more."""

from __future__ import annotations

from collections.abc import Mapping

_COMMENT = "odpm: template "  # followed by the time of the last use, in seconds since 1970


def template_comment(used: float) -> str:
    """The comment of a template's database. `used`: seconds since 1970."""
    return f"{_COMMENT}{used:.0f}"


def last_uses(comments: Mapping[str, str | None]) -> dict[str, float]:
    """The time of the last use of each template, in seconds since 1970, the latest first. `comments`: of databases, by name."""
    found = {}
    for name, comment in comments.items():
        text = (comment or "").removeprefix(_COMMENT)
        if text != comment and text.isascii() and text.isdigit():
            found[name] = float(text)
    return dict(sorted(found.items(), key=lambda one: one[1], reverse=True))


def old_templates(comments: Mapping[str, str | None], now: float, days: int) -> dict[str, float]:
    """The templates but the latest, and that one if it was not used for so many days, with the time of their last use."""
    found = last_uses(comments)
    return {name: used for number, (name, used) in enumerate(found.items()) if number or used <= now - days * 86400}
