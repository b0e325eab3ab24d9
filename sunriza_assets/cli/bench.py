"""`sunriza bench`: what the engines cost on this machine. Figures to read, not tests to pass."""

from pathlib import Path
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


@bench.command()
@click.option(
    "--report",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSON file, written after each step; SUNRIZA_HOME/bench/gpu.json by default.",
)
@click.option("--device", help="cpu, cuda or cuda:1; by default a CUDA device where there is one.")
@click.option("--minutes", type=click.FloatRange(0.1, 60), default=8, show_default=True)
@click.option("--skip", multiple=True, metavar="STEP", help="Leave a step out; may be repeated.")
@click.option("--again", multiple=True, metavar="STEP", help="Do a step anew; may be repeated.")
@click.option("--tiny", is_flag=True, help="Try the script out: narrow networks, a few frames.")
@as_json
def gpu(
    path: Path | None,
    device: str | None,
    minutes: float,
    skip: tuple[str, ...],
    again: tuple[str, ...],
    tiny: bool,
    as_json: bool,
) -> None:
    """All that a GPU has to be asked, step by step; call it again for what is missing.

    Each step is a process of its own with a time limit. Works without a GPU, where steps that need
    one are skipped.
    """
    from resources.home import Home
    from sunriza_assets.studio.bench.gpu.plan import Settings
    from sunriza_assets.studio.bench.gpu.runner import measure_gpu

    home = Home.from_environment()
    found = measure_gpu(
        path or home.root / "bench" / "gpu.json",
        Settings(device=device, tiny=tiny, models=str(home.models.absolute())),
        total_s=60 * minutes,
        skip=skip,
        again=again,
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
