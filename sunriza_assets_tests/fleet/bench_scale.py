"""How the instance, the sensors and the status report bear many avatars; figures, no verdicts.

    python -m sunriza_assets_tests.fleet.bench_scale [--avatars 1000,10000] [--storage postgres]

Avatars are partitions of `idle_video` and documents of the local store. `docs/scaling.md` has the
figures and says what they mean.
"""

import json
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click
import dagster as dg
import yaml

from resources.avatars.standing import iter_avatars
from resources.home import Home
from resources.services import Stores, Templates
from sunriza_assets.cli.avatar import avatar_row
from sunriza_assets.graph.assets.status import avatar_status
from sunriza_assets.graph.partitions import AVATARS
from sunriza_assets.graph.sensors import avatar_changes, avatar_scan, deleted_avatars
from sunriza_assets.operations.backfills import Backfill, backfills, save
from sunriza_assets.platform.instance import shipped_settings
from sunriza_assets_tests.fleet.servers import postgres

ASSET = dg.AssetKey("idle_video")
EVENTS = 2_000
"""Materializations that are told; every one is a row for ever."""


MOST_DOCUMENTS = 100_000
"""Above, only the partitions are asked about: a million files say more of the disk than of us."""


storage_option = click.option(
    "--storage", type=click.Choice(["sqlite", "postgres"]), default="sqlite", show_default=True
)
"""Which of Dagster's storages, as shipped for one machine or for a fleet."""
QUIET: Mapping[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@click.command()
@click.option("--avatars", default="1000,10000,100000", show_default=True, help="Sizes.")
@storage_option
def main(avatars: str, storage: str) -> None:
    """Print a row per question and a column per size, in seconds."""
    sizes = [int(size) for size in avatars.split(",")]
    table: dict[str, list[float]] = {}
    for size in sizes:
        with home(storage) as (root, instance):
            for what, seconds in questions(root, instance, size):
                table.setdefault(what, []).append(seconds)
    click.echo(f"| seconds, {storage} |", nl=False)
    click.echo("".join(f" {size:,} avatars |" for size in sizes))
    click.echo("|---|" + "---:|" * len(sizes))
    for what, taken in table.items():
        cells = [f"{seconds:.3g}" for seconds in taken] + [""] * (len(sizes) - len(taken))
        click.echo(f"| {what} | {' | '.join(cells)} |")


def questions(root: Home, instance: dg.DagsterInstance, size: int) -> Iterator[tuple[str, float]]:
    """(what was asked, seconds)."""
    names = [f"avatar{number:07d}" for number in range(size)]
    partitions = AVATARS.name or ""
    yield "add all partitions", timed(lambda: add(instance, names))
    one_more = ["avatar-one-more"]
    yield "add one", timed(lambda: instance.add_dynamic_partitions(partitions, one_more))
    yield "has one", timed(lambda: instance.has_dynamic_partition(partitions, names[-1]))
    yield "list all", timed(lambda: instance.get_dynamic_partitions(partitions))

    told = [names[number * size // EVENTS] for number in range(EVENTS)]
    yield f"tell {EVENTS:,} materializations", timed(lambda: tell(instance, told))
    yield "which are materialized", timed(lambda: instance.get_materialized_partitions(ASSET))
    yield "status of every partition", timed(lambda: status_of_all(instance))
    yield "bookkeeping of a run of ten steps", book(instance, names)

    if size > MOST_DOCUMENTS:
        return
    yield "write the documents", timed(lambda: write_documents(root, names))
    stores = Stores()
    changes = ticker(avatar_changes, instance, stores)
    yield "tick of avatar_changes, 100 new avatars", timed(changes)
    yield "tick of avatar_changes, the next 100", timed(changes)
    yield "tick of avatar_scan", timed(ticker(avatar_scan, instance, stores))
    yield "tick of deleted_avatars", timed(ticker(deleted_avatars, instance, stores))
    save(stores.storage, Backfill(tuple(names)))
    yield "tick of a backfill of all", timed(ticker(backfills, instance, stores))
    yield (
        "sunriza avatar list",
        timed(lambda: deque(map(avatar_row, iter_avatars(stores.avatars)), 0)),
    )

    def report() -> None:
        resources = {"stores": stores}
        dg.materialize([avatar_status], resources=resources, instance=instance, run_config=QUIET)

    yield "report avatar_status", timed(report)


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall clock."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def add(instance: dg.DagsterInstance, names: list[str]) -> None:
    """In pages: SQLite takes no statement of more than a quarter of a million values."""
    for begin in range(0, len(names), 10_000):
        instance.add_dynamic_partitions(AVATARS.name or "", names[begin : begin + 10_000])


def ticker(
    sensor: dg.SensorDefinition, instance: dg.DagsterInstance, stores: Stores
) -> Callable[[], None]:
    """Something that looks once, as the daemon would, and goes on from there next time."""
    cursor: str | None = None

    def tick() -> None:
        nonlocal cursor
        resources = {"stores": stores, "templates": Templates()}
        context = dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources)
        result = sensor(context)
        if not isinstance(result, dg.SensorResult):
            raise TypeError(f"{sensor.name} returned {result!r}")
        cursor = result.cursor

    return tick


def book(instance: dg.DagsterInstance, names: list[str]) -> float:
    """Seconds that a run of ten assets takes which do nothing, in a chain as an avatar's are."""

    def asset(number: int) -> dg.AssetsDefinition:
        @dg.asset(
            name=f"bench_{number}",
            partitions_def=AVATARS,
            deps=[f"bench_{number - 1}"] if number else [],
        )
        def nothing() -> None:
            """Nothing to do."""

        return nothing

    chain = [asset(number) for number in range(10)]

    def run(name: str) -> None:
        dg.materialize(chain, partition_key=name, instance=instance, run_config=QUIET)

    run(names[0])  # what is made once
    return timed(lambda: run(names[-1]))


def tell(instance: dg.DagsterInstance, names: list[str]) -> None:
    """One event outside of any run for each."""
    for name in names:
        event = dg.AssetMaterialization(ASSET, partition=name, metadata={"wall_s": 1.0})
        instance.report_runless_asset_event(event)


def status_of_all(instance: dg.DagsterInstance) -> Any:
    """What the page of an asset asks for."""
    keys = instance.get_dynamic_partitions(AVATARS.name or "")
    return instance.get_status_by_partition(
        ASSET, keys, dg.DynamicPartitionsDefinition(name=AVATARS.name)
    )


def write_documents(home: Home, names: list[str]) -> None:
    """As the store writes them, without its syncs: the disk is not what is asked about."""
    home.avatars.mkdir(parents=True, exist_ok=True)
    training = {"heroImageUrl": "avatars/x/p.jpg", "heroVideoUrl": "avatars/x/v.mp4"}
    for name in names:
        document = {"avatarId": name, "name": name, "training": training}
        (home.avatars / f"{name}.json").write_text(json.dumps(document))


@contextmanager
def home(storage: str) -> Iterator[tuple[Home, dg.DagsterInstance]]:
    """A home of its own, and its instance with the shipped settings."""
    root = Path(tempfile.mkdtemp(prefix="sunriza-scale-"))
    root.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        settings = yaml.safe_load(shipped_settings().read_text())
        if storage == "postgres":
            url = stack.enter_context(postgres(root / "postgres"))
            settings["storage"] = {
                "custom": {
                    "module": "sunriza_assets.platform.storage.postgres",
                    "class": "PooledPostgresStorage",
                    "config": {"postgres_url": url},
                }
            }
        os.environ.update(SUNRIZA_HOME=str(root), DAGSTER_HOME=str(root / "dagster"))
        (root / "dagster").mkdir()
        (root / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(settings))
        with dg.DagsterInstance.get() as instance:
            yield Home.from_environment(), instance


if __name__ == "__main__":
    main()
