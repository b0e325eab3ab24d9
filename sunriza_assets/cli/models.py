"""`sunriza models`: list and pull model files."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from sunriza_assets.cli.options import as_json, print_json

__all__ = ["models"]

VOICE_FAMILIES: Final = ("piper", "kokoro", "pocket")
"""Families of `studio.speech.voices.pulling`, named here so that the command starts at once."""


@click.group()
def models() -> None:
    """List and pull model files: face models, weights of engines and voices."""


@models.command("list")
@as_json
def list_models(as_json: bool) -> None:
    """Every model: present or not, size, licence, hash."""
    rows = model_rows()
    if as_json:
        print_json({"models": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "family", "present", "licence", "path")
    for row in rows:
        table.add_row(
            row["name"],
            row["family"],
            "yes" if row["present"] else "no",
            row["licence"],
            row["path"],
        )
    Console().print(table)


@models.command()
@click.argument(
    "family",
    type=click.Choice(["face", "liveportrait", *VOICE_FAMILIES]),
    required=False,
    default="face",
)
@click.option("--voice", default="", help="Which voice of a family of voices.")
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder that has the files already, instead of the network.",
)
@as_json
def pull(family: str, voice: str, source: Path | None, as_json: bool) -> None:
    """Fetch, verify and convert models; what is there already is left alone.

    FAMILY is `face` (MediaPipe's detector, face mesh and person matte; the default),
    `liveportrait` (the official weights), or one of voices: `piper`, `kokoro`, `pocket`. Their
    voices are listed by `sunriza voices`.
    """
    done = pull_models(family, source, voice)
    if as_json:
        print_json({"pulled": done})
    else:
        click.echo("\n".join(done) if done else "Everything is there already.")


def pull_models(family: str = "face", source: Path | None = None, voice: str = "") -> list[str]:
    """Fetch one family of models into SUNRIZA_MODELS; returns what was done."""
    from resources.home import Home

    home = Home.from_environment()
    root = home.models
    if root.is_relative_to(home.root):
        home.make()  # closed to others, as whatever comes into it later
    if family == "liveportrait":
        from sunriza_assets.studio.engines.liveportrait.pulling import pull_weights

        return list(pull_weights(root, source=source))
    if family in VOICE_FAMILIES:
        from sunriza_assets.studio.speech.voices.pulling import pull_voice

        return list(pull_voice(root, family, voice, source=source))
    from sunriza_assets.studio.face.model_store import ModelStore

    return ModelStore(root).pull(_print_line, source=source)


def _print_line(line: str) -> None:
    click.echo(line, err=True)


def model_rows() -> list[dict[str, Any]]:
    """One row per model of every family."""
    from resources.home import Home
    from sunriza_assets.studio.engines.liveportrait.weights import weight_entries
    from sunriza_assets.studio.face.model_store import ModelStore

    root = Home.from_environment().models
    from sunriza_assets.studio.speech.voices.entries import voice_entries

    entries = [*ModelStore(root).entries(), *weight_entries(root), *voice_entries(root)]
    return [{**asdict(entry), "path": str(entry.path)} for entry in entries]
