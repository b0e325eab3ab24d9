"""`sunriza backfill`: one wish for many avatars, with progress, cancel and resume."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from sunriza_assets.cli.options import as_json, parsed_settings, print_json, settings_option

if TYPE_CHECKING:
    import dagster as dg

    from resources.avatars import AvatarStore
    from sunriza_assets.backfills import Backfill

__all__ = ["backfill", "chosen_avatars", "work_through"]

LOOK_EVERY_S: Final = 2.0
"""How often a queued backfill is looked at."""


@click.command()
@click.option("--avatars", multiple=True, metavar="ID[,ID...]", help="These avatars.")
@click.option("--all", "everybody", is_flag=True, help="All avatars.")
@click.option(
    "--stale", is_flag=True, help="Avatars whose document asks for more than is published."
)
@click.option("--failed", is_flag=True, help="Avatars whose last run ended in an error.")
@click.option("--resume", metavar="BACKFILL", help="What a former backfill has left undone.")
@click.option("--cancel", metavar="BACKFILL", help="Stop a backfill; runs at work may finish.")
@click.option("--list", "listed", is_flag=True, help="List backfills and how far they are.")
@settings_option
@click.option("--force", is_flag=True, help="Extract the motion again even if it is cached.")
@click.option(
    "--here/--queued",
    default=None,
    help="Work in this process, or leave it to the run queue (default: where workers are).",
)
@click.option("--wait/--no-wait", default=True, help="Show the progress of a queued backfill.")
@as_json
def backfill(
    avatars: tuple[str, ...],
    everybody: bool,
    stale: bool,
    failed: bool,
    resume: str | None,
    cancel: str | None,
    listed: bool,
    settings: tuple[str, ...],
    force: bool,
    here: bool | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Render many avatars, behind everything more urgent.

    Without a fleet they are rendered in this process, one after another, with models that are
    loaded once. With one they go to the run queue, a few at a time, and this command only looks on:
    it may be interrupted, and the backfill goes on. Exit code 1 if any avatar failed.
    """
    ways = {
        "--avatars": avatars, "--all": everybody, "--stale": stale, "--failed": failed,
        "--resume": resume, "--cancel": cancel, "--list": listed,
    }  # fmt: skip
    named = [name for name, said in ways.items() if said]
    if len(named) != 1:
        raise click.UsageError(f"Say one of {', '.join(ways)}.")
    with _installation() as (instance, store, storage):
        from sunriza_assets import backfills

        if listed:
            _show(_standings(instance, storage), as_json=as_json)
            return
        if cancel:
            count = backfills.cancel(storage, instance, cancel)
            _tell({"cancelled": cancel, "runs_cancelled": count}, as_json=as_json)
            return
        if resume:
            former = backfills.kept(storage, resume)
            ids = backfills.Watch(instance, former).missing()
            wanted = backfills.Backfill(tuple(ids), former.parameters, former.force)
        else:
            listed_ids = [one for text in avatars for one in text.split(",") if one]
            ids = chosen_avatars(store, listed_ids, stale=stale, failed=failed)
            wanted = backfills.Backfill(tuple(ids), parsed_settings(settings), force)
        if not ids:
            _tell({"backfill": None, "avatars": 0}, as_json=as_json)
            return
        backfills.keep(storage, wanted)
        if here is None:
            here = _is_alone(instance)
        if here:
            states = work_through(instance, wanted, quiet=as_json)
        else:
            states = _look_on(instance, storage, wanted, wait=wait, quiet=as_json)
    _tell({"backfill": wanted.backfill_id, "avatars": len(ids), **states}, as_json=as_json)
    if states.get("failed"):
        raise click.exceptions.Exit(1)


def chosen_avatars(
    store: "AvatarStore", ids: Iterable[str], *, stale: bool = False, failed: bool = False
) -> list[str]:
    """The avatars that a backfill is about, each once; all of them when nothing is said.

    Raises:
        AvatarError: an avatar that is named does not exist.
    """
    from sunriza_assets.standing import everybody, standing_of

    named = list(dict.fromkeys(ids))
    for avatar_id in named:
        store.get(avatar_id)
    if named:
        return named
    if not stale and not failed:
        return list(store.ids())
    standings = [
        (change.avatar_id, standing_of(change.document))
        for change in everybody(store)
        if change.document is not None  # `sunriza avatar list --failed` shows the unreadable
    ]
    return [
        avatar_id
        for avatar_id, standing in standings
        if (stale and standing.needs_run) or (failed and standing.state == "error")
    ]


def work_through(
    instance: "dg.DagsterInstance", wanted: "Backfill", *, quiet: bool = False
) -> dict[str, Any]:
    """Render a backfill's avatars in this process; returns how many ended how, and the time."""
    from sunriza_assets import backfills
    from sunriza_assets.cli.runs import AvatarRuns

    runs = AvatarRuns(instance)
    begin = time.monotonic()
    tags = backfills.run_settings(wanted)["tags"]
    counts: Counter[str] = Counter()
    try:
        for avatar_id in _tracked(wanted, quiet=quiet):
            result = runs.render(
                avatar_id, parameters=dict(wanted.parameters), force=wanted.force, tags=tags
            )
            counts["done" if result["error"] is None else "failed"] += 1
            if result["error"]:
                click.echo(f"{avatar_id}: error: {result['error']['message']}", err=True)
    except KeyboardInterrupt:
        click.echo(f"Go on with: sunriza backfill --resume {wanted.backfill_id}", err=True)
        raise
    return {**counts, "wall_s": round(time.monotonic() - begin, 3)}


def _tracked(wanted: "Backfill", *, quiet: bool) -> Iterator[str]:
    from rich.console import Console
    from rich.progress import track

    yield from track(wanted.avatars, "backfill", console=Console(stderr=True), disable=quiet)


def _look_on(
    instance: "dg.DagsterInstance", storage: Any, wanted: "Backfill", *, wait: bool, quiet: bool
) -> dict[str, Any]:
    """Show the progress of a queued backfill until it is over or somebody has enough."""
    from rich.console import Console
    from rich.progress import Progress

    from sunriza_assets import backfills

    watch = backfills.Watch(instance, wanted)
    over = {"done", "failed", "cancelled"}
    with Progress(console=Console(stderr=True), disable=quiet) as bar:
        task = bar.add_task("backfill", total=len(wanted.avatars))
        while True:
            counts: Counter[str] = Counter(watch.look().values())
            bar.update(task, completed=sum(counts[state] for state in over))
            if not wait or all(state in over for state in counts):
                return dict(counts)
            if backfills.is_cancelled(storage, wanted.backfill_id) and not counts["running"]:
                return dict(counts)
            try:
                time.sleep(LOOK_EVERY_S)
            except KeyboardInterrupt:
                click.echo(
                    f"It goes on. Stop it with: sunriza backfill --cancel {wanted.backfill_id}",
                    err=True,
                )
                return dict(counts)


@contextmanager
def _installation() -> Iterator[tuple["dg.DagsterInstance", "AvatarStore", Any]]:
    from resources.home import Home
    from resources.services import Stores
    from sunriza_assets.instance import opened_instance

    with opened_instance(Home.from_environment()) as instance:
        stores = Stores()
        yield instance, stores.avatars, stores.storage


def _is_alone(instance: "dg.DagsterInstance") -> bool:
    """Whether runs start on this very machine, each in a cold process of its own."""
    from dagster._core.launcher import DefaultRunLauncher

    return isinstance(instance.run_launcher, DefaultRunLauncher)


def _standings(instance: "dg.DagsterInstance", storage: Any) -> list[dict[str, Any]]:
    from sunriza_assets import backfills

    rows = []
    for backfill_id in backfills.kept_ids(storage):
        wanted = backfills.kept(storage, backfill_id)
        counts: Counter[str] = Counter(backfills.Watch(instance, wanted).look().values())
        cancelled = backfills.is_cancelled(storage, backfill_id)
        rows.append(
            {
                "backfill": backfill_id,
                "avatars": len(wanted.avatars),
                "cancelled": cancelled,
                "parameters": dict(wanted.parameters),
                **counts,
            }
        )
    return rows


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"backfills": rows})
        return
    from rich.console import Console
    from rich.table import Table

    columns = ("backfill", "avatars", "done", "failed", "running", "waiting", "cancelled")
    table = Table(*columns)
    for row in rows:
        table.add_row(*(str(row.get(name, 0)) for name in columns))
    Console().print(table)


def _tell(facts: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(dict(facts))
    else:
        click.echo(", ".join(f"{name} {value}" for name, value in facts.items()))
