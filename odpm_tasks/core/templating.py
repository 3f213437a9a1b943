"""Our templates: jinja2 over the package's own files, fed by one typed object per template."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from odpm_tasks.errors import DescriptionError

if TYPE_CHECKING:
    import jinja2


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("odpm_tasks", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - plain text files, no HTML
    )
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment


def use_bytecode_cache(where: jinja2.BytecodeCache) -> None:
    """Let templates be compiled once and for all, by whoever may write files."""
    _environment().bytecode_cache = where


def render(name: str, override: str | None = None, **values: Any) -> str:
    """The template `name`, or the text that a project put in its place (`.odpm/templates/NAME`)."""
    import jinja2

    try:
        environment = _environment()
        template = environment.get_template(name) if override is None else environment.from_string(override)
        return template.render(**values)
    except jinja2.TemplateError as error:
        if override is None:
            raise
        line = f", line {error.lineno}" if isinstance(error, jinja2.TemplateSyntaxError) else ""
        raise DescriptionError(
            f"the template does not render: {error.message}",
            where=f".odpm/templates/{name}{line}",
            todo="mend it, or remove it to use odpm's own",
        ) from error


def template_text(name: str, override: str | None = None) -> str:
    """The text of the template itself."""
    environment = _environment()
    assert environment.loader is not None
    return override if override is not None else environment.loader.get_source(environment, name)[0]
