"""`sunriza inspect`: what a media file is, and whether a phone would play it."""

from pathlib import Path

import click

from sunriza_assets.cli.options import as_json, print_json

__all__ = ["inspect"]


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
def inspect(file: Path, as_json: bool) -> None:
    """Say what FILE is: codec, exact rate, colour, duration, and what a phone would object to."""
    from sunriza_assets.studio.media import inspect as media

    content = media.inspect(file)
    if as_json:
        print_json(content)
        return
    from rich.console import Console
    from rich.pretty import Pretty

    Console().print(Pretty(content, expand_all=True))
