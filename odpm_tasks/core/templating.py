"""Templates: jinja2 over the files of the package, each rendered with one typed object."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from odpm_tasks.errors import DescriptionError

if TYPE_CHECKING:
    import jinja2


@cache
def _loader() -> jinja2.PackageLoader:
    import jinja2

    return jinja2.PackageLoader("odpm_tasks", "templates")


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=_loader(),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - plain text files, no HTML
    )
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment


def use_bytecode_cache(cache: jinja2.BytecodeCache) -> None:
    """Keep compiled templates in `cache`. Without it every process compiles them again."""
    _environment().bytecode_cache = cache


def render(name: str, override: str | None = None, **values: Any) -> str:
    """Render the template `name`, or `override`, the text of the project's `.odpm/templates/NAME`.

    Errors: DescriptionError if the project's template is invalid.
    """
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
            f"cannot render the template: {error.message}",
            where=f".odpm/templates/{name}{line}",
            todo="fix the template, or remove it to use the one of odpm",
        ) from error


def template_text(name: str, override: str | None = None) -> str:
    """The text of the template `name`, before rendering; `override` if the project has one."""
    return override if override is not None else _loader().get_source(_environment(), name)[0]
