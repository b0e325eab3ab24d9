"""The service against its bars: CPU time, memory and counts of real processes.

    python -m sunriza_assets_tests.service.bench_service [--only NAME]… [--json FILE]

Each part starts a service on a home of its own, one part after another. Wall times depend on what
else the machine does, and CPU times on its pace at the moment: both stand beside them.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from sunriza_assets.cores import core_count
from sunriza_assets.costs.devices import cpu
from sunriza_assets_tests.service.bench_parts import PARTS
from sunriza_assets_tests.service.bench_rows import Row

MODELS = Path(os.environ.get("SUNRIZA_MODELS") or Path(__file__).parents[2] / "data" / "models")


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="Parts; all if none.")
@click.option(
    "--json", "file", type=click.Path(path_type=Path), help="Where the figures are written."
)
def main(only: Sequence[str], file: Path | None) -> None:
    """Measure, print one table, and say by the exit code whether all bars are kept."""
    report: dict[str, Any] = {
        "device": cpu().name,
        "cores": core_count(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": {},
    }
    rows: list[Row] = []
    for name, part in PARTS.items():
        if only and name not in only:
            continue
        figures: dict[str, Any] = {}
        load = f"load {os.getloadavg()[0]:.1f}, pace {_pace_ms():.0f} ms"
        for row in part(MODELS, figures):
            click.echo(f"{name}: {row.what}: {row.measured}", err=True)
            rows.append(row)
        report["load"][name] = (
            f"{load} before; load {os.getloadavg()[0]:.1f}, pace {_pace_ms():.0f} ms after"
        )
        report[name] = figures
    report["rows"] = [[row.what, row.measured, row.bar, row.kept] for row in rows]
    click.echo(f"{report['device']}, {report['cores']} cores\n")
    for name, load in report["load"].items():
        click.echo(f"* {name}: {load}")
    click.echo()
    click.echo("| what | measured | bar | |\n|---|---|---|---|")
    for row in rows:
        told = "" if row.kept is None else "kept" if row.kept else "**missed**"
        click.echo(f"| {row.what} | {row.measured} | {row.bar} | {told} |")
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(row.kept is False for row in rows))


def _pace_ms() -> float:
    """CPU milliseconds of a fixed piece of work: how fast the machine is just now."""
    value = {f"name {number}": [number, number / 7, str(number)] for number in range(200)}
    begin = time.thread_time()
    for _ in range(200):
        json.loads(json.dumps(value))
    return (time.thread_time() - begin) * 1000


if __name__ == "__main__":
    main()
