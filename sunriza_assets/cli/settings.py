"""`sunriza settings`: every setting of this process with its value, source and meaning."""

import os
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

import click

from sunriza_assets.cli.options import as_json, print_json

if TYPE_CHECKING:
    from resources.settings import Setting

__all__ = ["settings", "settings_page"]


@click.command()
@click.option("--markdown", is_flag=True, help="Print docs/settings.md, without any value.")
@as_json
def settings(markdown: bool, as_json: bool) -> None:
    """Print every setting with its value, its source and its meaning; secrets are masked.

    Exit code 2 if a value is wrong.
    """
    from resources.settings import describe_settings

    if markdown:
        click.echo(settings_page(list(describe_settings({}))), nl=False)
        return
    found = list(describe_settings(os.environ))
    if as_json:
        print_json({"settings": [asdict(setting) for setting in found]})
    else:
        _print_table(found)
    if any(setting.problem for setting in found):
        raise click.exceptions.Exit(2)


def _print_table(found: "Sequence[Setting]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Settings", title_justify="left")
    for heading in ("setting", "value", "source", "meaning"):
        table.add_column(heading, no_wrap=heading == "setting", overflow="fold")
    for setting in found:
        wrong = f"\nWRONG: {setting.problem}" if setting.problem else ""
        table.add_row(setting.name, setting.value + wrong, setting.source, setting.meaning)
    Console().print(table)


def settings_page(found: Sequence["Setting"]) -> str:
    """docs/settings.md: settings by group, with defaults and meanings, as Markdown."""
    lines = [
        "# Settings",
        "",
        "Made by `sunriza settings --markdown`; CI compares. Each setting is an environment",
        "variable, read once when a process starts; `sunriza settings` prints the values in use.",
        "How an avatar looks is not set here but by [parameters](../README.md#parameters).",
    ]
    for group, members in groupby(found, key=lambda setting: setting.group):
        lines += ["", f"## {group}", "", "| setting | default | meaning |", "|---|---|---|"]
        for setting in members:
            choices = f" One of: {', '.join(setting.choices)}." if setting.choices else ""
            lines.append(f"| `{setting.name}` | {setting.default} | {setting.meaning}{choices} |")
    return "\n".join(lines) + "\n"
