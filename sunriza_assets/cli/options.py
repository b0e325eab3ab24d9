"""Options that several commands share."""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from sunriza_assets.errors import ParameterError
from sunriza_assets.studio.parameters import canonical, resolve

__all__ = [
    "as_json",
    "parsed_settings",
    "print_json",
    "settings_option",
    "verbose_option",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def as_json(command: Command) -> Command:
    """--json: one JSON object on standard output and nothing else there."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print one JSON object on standard output."
    )(command)


def settings_option(command: Command) -> Command:
    """--set key=value, as often as wanted."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="A render parameter, for example driving_multiplier=1.2; may be repeated.",
    )(command)


def parsed_settings(settings: Iterable[str]) -> dict[str, Any]:
    """Canonical, checked parameters from `key=value` texts.

    Raises:
        ParameterError: a text without `=`, an unknown key, or a value out of range.
    """
    parsed: dict[str, Any] = {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ParameterError(f"--set {text!r} is not KEY=VALUE")
        parsed.update(canonical({key.strip(): value.strip()}))
    resolved = resolve(parsed).to_dict()
    return {name: resolved[name] for name in parsed}


def verbose_option(command: Command) -> Command:
    """--verbose: everything that is known, not only what most people ask for."""
    return click.option("-v", "--verbose", is_flag=True, help="Show all details.")(command)


def print_json(content: Any) -> None:
    """The one object of a `--json` command."""
    click.echo(json.dumps(content, indent=2, default=str, ensure_ascii=False))
