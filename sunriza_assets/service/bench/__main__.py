"""All of the service's benchmarks with their bars: `make bench-service`.

The exit code is 1 if a figure misses its bar. Figures are CPU time, memory and counts, but for the
wait for a job's first step; take them on a quiet machine all the same, for caches are shared.
"""

import operator
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from resources.home import Home
from resources.orders.sqlite import SqliteOrders
from sunriza_assets.cores import core_count
from sunriza_assets.costs.devices import cpu
from sunriza_assets.service.bench import api, first_step, render
from sunriza_assets.service.bench.store import bench_orders

_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
}


def main() -> None:
    """Measure, and print figure, bar and verdict line by line."""
    print(f"{cpu().name}, {core_count()} cores")  # noqa: T201 - the report
    missed = _report("API", api.measure(), api.BARS)
    with TemporaryDirectory(prefix="sunriza-bench-") as folder:
        orders = SqliteOrders(Path(folder) / "service" / "service.db")
        _report("store of orders, CPU ms", bench_orders(orders), {})
        orders.close()
    models = Home.from_environment().models
    missed += _report("dispatcher", first_step.measure(models), first_step.BARS)
    pictures = render.measure(models)
    print(f"engine {pictures['engine']} on {pictures['device']}")  # noqa: T201
    figures = {
        name: figure["cpu_ms"] for name, figure in pictures.items() if isinstance(figure, dict)
        and "cpu_ms" in figure
    }  # fmt: skip
    bars = {
        name: ("<=", render.BARS["cold" if name == "cold" else "warm"])
        for name in pictures["bars"]
    }  # fmt: skip
    missed += _report("emotion picture of 512 px, CPU ms", figures, bars)
    sys.exit(1 if missed else 0)


def _report(title: str, figures: Mapping[str, float], bars: Mapping[str, tuple[str, float]]) -> int:
    """Print figures with their bars; how many miss theirs."""
    print(f"\n{title}")  # noqa: T201
    missed = 0
    for name, figure in figures.items():
        line = f"  {name:44} {figure:10.3f}"
        if name in bars:
            how, bar = bars[name]
            held = _COMPARE[how](figure, bar)
            missed += not held
            line += f"   {how} {bar:g}  {'held' if held else 'MISSED'}"
        print(line)  # noqa: T201
    return missed


if __name__ == "__main__":
    main()
