"""`sunriza serve`: the HTTP service with everything that it needs on this machine."""

import logging
import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sunriza_assets.service.parts import Part
    from sunriza_assets.service.serve import Addresses

__all__ = ["serve"]


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the API.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port of the API; 0 takes a free one.",
)
@click.option("--ui-port", default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--no-ui", is_flag=True, help="Without Dagster's UI and daemon.")
@click.option(
    "--only",
    type=click.Choice(["api", "engine", "dispatcher"]),
    help="One part alone, for containers; all of them see the same home or databases.",
)
def serve(host: str, port: int, ui_port: int, no_ui: bool, only: "Part | None") -> None:
    """Start the HTTP service: API, warm engine, dispatcher with its worker, Dagster UI.

    Everybody may call it on a loopback address; elsewhere callers need a token or an API key
    (SUNRIZA_AUTH, `sunriza keys add`). SIGTERM and Ctrl-C let requests and runs end; a second one
    ends everything at once.
    """
    from resources.home import Home
    from sunriza_assets.service.serve import serve as run

    if only is not None:
        from sunriza_assets.service.parts import serve_part

        serve_part(only, host=host, port=port)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    log = Home.from_environment().root / "service" / "serve.log" if sys.stderr.isatty() else None
    run(
        host=host,
        port=port,
        ui_port=None if no_ui else ui_port,
        log=log,
        announce=_announce,
        ready=lambda seconds: click.echo(f"Ready after {seconds:.0f} s. Ctrl-C ends it."),
        waiting=lambda reasons: click.echo(f"Not ready yet. {reasons}"),
    )


def _announce(addresses: "Addresses") -> None:
    """One screen: what is where."""
    click.echo(f"API      {addresses.api}")
    click.echo(f"docs     {addresses.api}/docs")
    if addresses.metrics is not None:
        click.echo(f"metrics  {addresses.metrics}")
    if addresses.dagster is not None:
        click.echo(f"Dagster  {addresses.dagster}")
    if addresses.log is not None:
        click.echo(f"log      {addresses.log}")
    click.echo("Starting; models are being loaded.")
