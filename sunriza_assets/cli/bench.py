"""`sunriza bench`: what the engines cost on this machine. Figures to read, not tests to pass."""

from typing import Any

import click

from sunriza_assets.cli.options import as_json, print_json

__all__ = ["bench"]


@click.group()
def bench() -> None:
    """Measure the engines on this machine."""


@bench.command()
@as_json
def mesh(as_json: bool) -> None:
    """CPU milliseconds a frame of the mesh engine, with the sample, at 512 and 1024 pixels."""
    from resources.home import Home
    from sunriza_assets.cli.bench_rerender import machine
    from sunriza_assets.studio.bench.mesh import measure

    _show({"machine": machine(), **measure(Home.from_environment().models)}, as_json)


@bench.command()
@as_json
def rerender(as_json: bool) -> None:
    """Seconds of a cold render, of one with another gain, and of the same command again."""
    from resources.home import Home
    from sunriza_assets.cli.bench_rerender import measure

    _show(measure(Home.from_environment().models), as_json)


@bench.command()
@click.option("--device", help="cpu or cuda; by default a CUDA device where there is one.")
@click.option("--baseline", is_flag=True, help="Measure the plain frame-by-frame loop beside it.")
@click.option("--batch", type=click.IntRange(1, 64), help="Frames at once.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    show_default=True,
    help="Of the convolutions; the motion extractor stays in float32.",
)
@as_json
def liveportrait(
    device: str | None, baseline: bool, batch: int | None, precision: Any, as_json: bool
) -> None:
    """LivePortrait stage by stage, with seeded weights: speed needs no trained ones."""
    from sunriza_assets.studio.bench.liveportrait import measure

    found = measure(
        device=device,
        precision=precision,
        batch=batch,
        baseline=baseline,
        report=lambda line: click.echo(line, err=True),
    )
    _show(found, as_json)


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    from rich.console import Console
    from rich.pretty import Pretty

    Console().print(Pretty(found, expand_all=True))
