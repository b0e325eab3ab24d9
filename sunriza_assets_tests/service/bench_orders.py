"""How soon a job's first step begins after it was accepted, on the warm worker.

    python -m sunriza_assets_tests.service.bench_orders [--jobs 20]

From the order's transaction to the first report of a step in the order: the dispatcher's look, the
run's record, its start. Jobs come one after another, so none waits for another one.
"""

import os
import statistics
import tempfile
import time
from pathlib import Path

import click

from resources.orders.open import open_orders
from resources.orders.order import Order
from resources.orders.store import OrderStore
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.studio.sample.clip import write_sample
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.service.kills import MODELS, SMALL, place
from sunriza_assets_tests.service.serving_processes import begin_serving


@click.command()
@click.option("--jobs", default=20, show_default=True)
def main(jobs: int) -> None:
    """Print the median and the longest time."""
    with tempfile.TemporaryDirectory(prefix="sunriza-bench-") as folder:
        taken = measure(Path(folder), jobs)
    click.echo(f"| {jobs} jobs on the warm worker | s |\n|---|---:|")
    click.echo(f"| accept -> first step, the process's first job | {taken[0]:.2f} |")
    click.echo(f"| accept -> first step, median | {statistics.median(taken[1:]):.2f} |")
    click.echo(f"| accept -> first step, longest | {max(taken[1:]):.2f} |")


def measure(home: Path, jobs: int) -> list[float]:
    """Seconds of each job."""
    os.environ |= {"SUNRIZA_HOME": str(home), "SUNRIZA_MODELS": str(MODELS)}
    os.environ.pop("DAGSTER_HOME", None)
    sample = write_sample(home / "sample", MODELS)
    add_avatar("bench", sample.portrait, sample.clip, parameters=dict(SMALL))
    store = open_orders()
    serving = begin_serving(["--no-ui"], home / "serve.log")
    try:
        serving.wait_until_ready()
        wait_for(lambda: "is warm" in serving.log.read_text(), 120)
        return [_first_step(store, place(store, "bench", number)) for number in range(jobs)]
    finally:
        serving.end()


def _first_step(store: OrderStore, order: Order) -> float:
    begin = time.monotonic()
    first: float | None = None
    position = store.position()
    while True:
        while store.position() == position:
            time.sleep(0.002)
        position = store.position()
        found = store.get(order.order_id)
        if found is None or found.is_terminal:
            return time.monotonic() - begin if first is None else first
        if first is None and found.step is not None:
            first = time.monotonic() - begin


if __name__ == "__main__":
    main()
