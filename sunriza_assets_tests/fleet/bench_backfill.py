"""What orchestration adds to the work: 20 short clips, one process, models loaded once.

    python -m sunriza_assets_tests.fleet.bench_backfill [--avatars 20] [--storage postgres]

Work is what this project's own code does: assets from their first input to their stored result, and
checks. What is left of the wall clock is Dagster's: plans, events, the database.
"""

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
import dagster as dg

from sunriza_assets_tests.fleet.bench_scale import home, storage_option

MODELS = Path(__file__).parents[2] / "data" / "models"


@click.command()
@click.option("--avatars", default=20, show_default=True)
@click.option("--seconds", default=3, show_default=True, help="Length of the clips.")
@storage_option
def main(avatars: int, seconds: int, storage: str) -> None:
    """Render them all and print what took how long."""
    os.environ.setdefault("SUNRIZA_MODELS", str(MODELS))
    checked = time_checks()
    with count_loads() as loads, home(storage) as (_, instance):
        wall, work = backfill(instance, avatars, float(seconds), checked, loads)
    click.echo(f"| {avatars} avatars, {seconds} s of clip | wall s | work s | added | loads |")
    click.echo("|---|---:|---:|---:|---|")
    told = f"{len(loads)} models, each {'/'.join(map(str, sorted(set(loads.values()))))} x"
    click.echo(f"| {storage} | {wall:.1f} | {work:.1f} | {wall / work - 1:.1%} | {told} |")


def backfill(
    instance: dg.DagsterInstance,
    avatars: int,
    seconds: float,
    checked: list[float],
    loads: Counter[str],
) -> tuple[float, float]:
    """(seconds of wall clock, seconds of work) for that many avatars, models cold at first."""
    from sunriza_assets.cli.avatar import add_avatar
    from sunriza_assets.runs.avatar_runs import AvatarRuns
    from sunriza_assets.studio.sample.clip import write_sample

    folder = Path(tempfile.mkdtemp(prefix="sunriza-sample-"))
    try:
        sample = write_sample(folder, Path(os.environ["SUNRIZA_MODELS"]))
        wishes: dict[str, Any] = {"engine": "mesh", "max_seconds": seconds}
        names = [f"bench-{number:02d}" for number in range(avatars)]
        for name in names:
            add_avatar(name, sample.portrait, sample.clip, parameters=wishes)
        loads.clear()
        runs = AvatarRuns(instance)
        wall = work = 0.0
        for name in names:
            checked.clear()
            begin = time.perf_counter()
            result = runs.render(name)
            wall += time.perf_counter() - begin
            if result["error"]:
                raise click.ClickException(result["error"]["message"])
            work += sum(asset["seconds"] for asset in result["assets"].values()) + sum(checked)
        return wall, work
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def count_loads() -> Iterator[Counter[str]]:
    """How often each model file is loaded meanwhile."""
    from sunriza_assets.studio.face import runtime

    loads: Counter[str] = Counter()
    original: Callable[..., Any] = runtime.Graph.__init__

    def __init__(self: runtime.Graph, path: Path, **more: Any) -> None:  # noqa: N807
        loads[path.name] += 1
        original(self, path, **more)

    runtime.Graph.__init__ = __init__  # type: ignore[method-assign]
    try:
        yield loads
    finally:
        runtime.Graph.__init__ = original  # type: ignore[method-assign]


def time_checks() -> list[float]:
    """Seconds that each asset check takes from now on."""
    from sunriza_assets.graph.checks import CHECKS

    seconds: list[float] = []
    for check in CHECKS:
        function: Any = check.op.compute_fn

        def timed(*given: Any, _check: Any = function.decorated_fn, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return _check(*given, **named)
            finally:
                seconds.append(time.perf_counter() - begin)

        check.op._compute_fn = type(function)(wraps(function.decorated_fn)(timed))
    return seconds


if __name__ == "__main__":
    main()
