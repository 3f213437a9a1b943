"""Settings: the process environment, then the project's `.env`, then `~/.odpm/.env`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from odpm_tasks.core.config.scenario import Scenario, scenario
from odpm_tasks.errors import DescriptionError

ENVIRONMENT = "the process environment"
COMMAND_LINE = "the command line"
CHOSEN_PORTS = ".odpm/state.toml (chosen by --free-ports)"
REMEMBERED = ".odpm/state.toml (of an earlier --dev or --debug)"
SWITCHES = ("ODPM_DEV", "ODPM_DEBUG")
_ABOVE_FILES = (COMMAND_LINE, ENVIRONMENT)
Profile = Literal["full", "medium", "ci"]
PROFILES: tuple[Profile, ...] = ("full", "medium", "ci")
PORTS = {"ODOO_PORT": 8069, "GEVENT_PORT": 8072, "POSTGRES_PORT": 5432, "DEBUGGER_PORT": 5678}
WEB_PORTS = {"ODPM_HTTP_PORT": 80, "ODPM_HTTPS_PORT": 443}  # of the reverse proxy, where the stack has one


@dataclass(frozen=True)
class Layer:
    """One source of settings. `where`: its name in messages."""

    where: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Settings:
    """All layers; the first that sets a name wins."""

    layers: tuple[Layer, ...]

    def get(self, name: str) -> str | None:
        """The value of `name`, None if no layer sets it."""
        return next((layer.values[name] for layer in self.layers if name in layer.values), None)

    def where(self, name: str) -> str:
        """The name and the layer that sets it, for messages: `ODOO_PORT in .env`."""
        return next((f"{name} in {layer.where}" for layer in self.layers if name in layer.values), name)

    def merged(self) -> dict[str, str]:
        """Every name with its value, as passed to Compose."""
        values: dict[str, str] = {}
        for layer in reversed(self.layers):
            values |= layer.values
        return values

    def with_values(self, **values: str) -> Settings:
        """These settings with values from the command line, which override all layers."""
        return Settings((Layer(COMMAND_LINE, values), *self.layers))

    def with_chosen_ports(self, values: Mapping[str, str]) -> Settings:
        """These settings with the ports that `--free-ports` chose, which replace earlier chosen ones and override no layer."""
        layers = tuple(layer for layer in self.layers if layer.where != CHOSEN_PORTS)
        return Settings((*layers, Layer(CHOSEN_PORTS, values)) if values else layers)

    def with_switches(self, values: Mapping[str, str]) -> Settings:
        """These settings with the remembered `--dev` and `--debug`: over every file, below the environment and the command line."""
        layers = [layer for layer in self.layers if layer.where != REMEMBERED]
        at = next((i for i, layer in enumerate(layers) if layer.where not in _ABOVE_FILES), len(layers))
        return Settings((*layers[:at], Layer(REMEMBERED, values), *layers[at:]) if values else tuple(layers))

    def remembered_switches(self, given: Mapping[str, str]) -> dict[str, str]:
        """What later runs remember after a run with the switches `given`; an empty one is kept only where a file sets the name."""
        kept = next((dict(layer.values) for layer in self.layers if layer.where == REMEMBERED), {})
        kept |= {name: given[name] for name in SWITCHES if name in given}
        files = [layer.values for layer in self.layers if layer.where not in {*_ABOVE_FILES, REMEMBERED}]
        return {name: value for name, value in kept.items() if value or any(name in values for values in files)}

    def is_set(self, name: str) -> bool:
        """Whether the user sets `name` in any layer, even to an empty value."""
        return any(name in layer.values for layer in self.layers if layer.where != CHOSEN_PORTS)

    @property
    def scenario(self) -> Scenario:
        return scenario(self.get("ODPM_SCENARIO") or "developer", self.where("ODPM_SCENARIO"))

    def port(self, name: str) -> int:
        """A published port. Errors: DescriptionError if the value is not a port number."""
        text = self.get(name)
        if not text:
            return (PORTS | WEB_PORTS)[name]
        if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
            raise DescriptionError(
                f"{text!r} is not a port number",
                where=self.where(name),
                todo=f"{name}={(PORTS | WEB_PORTS)[name]} is the default",
            )
        return int(text)

    @property
    def jobs(self) -> int | None:
        """The number of parallel jobs (ODPM_JOBS); None: by the number of processors."""
        text = self.get("ODPM_JOBS")
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 256:
            raise DescriptionError(
                f"{text!r} is not a number from 1 to 256",
                where=self.where("ODPM_JOBS"),
                todo="remove it, or set ODPM_JOBS=8",
            )
        return int(text)

    @property
    def profile(self) -> Profile:
        """Which tools for reports and styles the image has (ODPM_BASE_IMAGE_PROFILE)."""
        text = self.get("ODPM_BASE_IMAGE_PROFILE") or "medium"
        for profile in PROFILES:
            if text == profile:
                return profile
        raise DescriptionError(
            f"unknown profile {text!r}",
            where=self.where("ODPM_BASE_IMAGE_PROFILE"),
            todo=f"ODPM_BASE_IMAGE_PROFILE is one of: {', '.join(PROFILES)}",
        )

    def _switch(self, name: str, default: str, todo: str) -> bool:
        text = (self.get(name) or default).strip().lower()
        if text not in {"on", "off"}:
            raise DescriptionError(f"{text!r} is neither on nor off", where=self.where(name), todo=todo)
        return text == "on"

    @property
    def catches_mail(self) -> bool:
        """Whether `developer` may have the built-in mail catcher (ODPM_MAIL)."""
        return self._switch("ODPM_MAIL", "on", "ODPM_MAIL=off removes mailcatcher")

    @property
    def browser(self) -> bool:
        """Whether the tests may use Chromium, which the image of `developer` then has (ODPM_BROWSER)."""
        return self._switch("ODPM_BROWSER", "off", "ODPM_BROWSER=on adds Chromium for browser tests")

    @property
    def auto_update(self) -> bool:
        """Whether `developer` updates add-ons whose version is above the installed one, as `server` and `ci` do (ODPM_AUTO_UPDATE)."""
        return self._switch("ODPM_AUTO_UPDATE", "off", "ODPM_AUTO_UPDATE=on updates add-ons with a raised version")

    @property
    def external_network(self) -> bool:
        """Whether the network of the services exists outside of the project (ODPM_COMPOSE_NETWORK_EXTERNAL)."""
        text = (self.get("ODPM_COMPOSE_NETWORK_EXTERNAL") or "false").strip().lower()
        if text not in {"true", "false", "1", "0", "yes", "no"}:
            raise DescriptionError(
                f"{text!r} is neither true nor false",
                where=self.where("ODPM_COMPOSE_NETWORK_EXTERNAL"),
                todo="ODPM_COMPOSE_NETWORK_EXTERNAL=true if the network exists already",
            )
        return text in {"true", "1", "yes"}

    @property
    def git_timeout(self) -> int:
        """Seconds without data from a git server before a request fails (ODPM_GIT_TIMEOUT)."""
        text = self.get("ODPM_GIT_TIMEOUT")
        if not text:
            return 30
        if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 3600:
            raise DescriptionError(
                f"{text!r} is not a number of seconds from 1 to 3600",
                where=self.where("ODPM_GIT_TIMEOUT"),
                todo="remove it, or set ODPM_GIT_TIMEOUT=120",
            )
        return int(text)

    @property
    def git_mirrors(self) -> tuple[tuple[str, str], ...]:
        """The rules of ODPM_GIT_MIRROR, `PREFIX=TARGET` separated by white space; the first with a matching prefix applies."""
        rules = []
        for rule in (self.get("ODPM_GIT_MIRROR") or "").split():
            prefix, equals, target = rule.partition("=")
            if not (prefix and equals and target):
                raise DescriptionError(
                    f"{rule!r} is not PREFIX=TARGET",
                    where=self.where("ODPM_GIT_MIRROR"),
                    todo="for example ODPM_GIT_MIRROR=https://github.com/=https://mirror.example/github/",
                )
            rules.append((prefix, target))
        return tuple(rules)


_SECRET = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|(^|_)KEY$", re.IGNORECASE)


def secret_names(values: Mapping[str, str]) -> tuple[str, ...]:
    """The variables that hold a secret, by their names; not those that name a file of one."""
    return tuple(
        sorted(
            name
            for name, value in values.items()
            if value and _SECRET.search(name) and not name.endswith("_FILE") and not name.startswith("PATH_")
        )
    )


def without_effect(settings: Settings, files: Collection[str]) -> tuple[str, ...]:
    """Warnings about settings and files of Compose that odpm does not use, because it names project and file itself.

    `files`: the names of the files in the project's root.
    """
    found = []
    prefix, given = settings.get("ODPM_COMPOSE_PREFIX"), settings.get("COMPOSE_PROJECT_NAME")
    if given and given != prefix:
        found.append(
            f"{settings.where('COMPOSE_PROJECT_NAME')} has no effect; to name the containers: ODPM_COMPOSE_PREFIX={given} in .env"
        )
    if settings.get("COMPOSE_FILE"):
        found.append(
            f"{settings.where('COMPOSE_FILE')} has no effect; to change services: `services` and `service_patches` in odpm.json"
        )
    found += [
        f"{name} has no effect; to change services: `services` and `service_patches` in odpm.json"
        for name in sorted(
            {f"{stem}.override.{end}" for stem in ("docker-compose", "compose") for end in ("yml", "yaml")}
        )
        if name in files
    ]
    return tuple(found)
