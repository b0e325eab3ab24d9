"""`sunriza backfill`: one request for many avatars, with progress, cancel and resume."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from sunriza_assets.cli.options import as_json, parsed_settings, print_json, settings_option
from sunriza_assets.errors import AvatarError

if TYPE_CHECKING:
    import dagster as dg
    from rich.progress import Progress

    from resources.avatars.store import AvatarStore
    from resources.storage.objects import MediaStorage
    from sunriza_assets.operations.backfills import Backfill

__all__ = ["backfill", "chosen_avatars", "render_backfill"]

POLL_INTERVAL_S: Final = 2.0
"""Interval between two queries of a queued backfill."""


@click.command()
@click.option("--avatars", multiple=True, metavar="ID[,ID...]", help="These avatars.")
@click.option("--all", "all_avatars", is_flag=True, help="All avatars.")
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
    all_avatars: bool,
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
    selections = {
        "--avatars": avatars, "--all": all_avatars, "--stale": stale, "--failed": failed,
        "--resume": resume, "--cancel": cancel, "--list": listed,
    }  # fmt: skip
    named = [name for name, value in selections.items() if value]
    if len(named) != 1:
        raise click.UsageError(f"Say one of {', '.join(selections)}.")
    with _opened_stores() as (instance, store, storage):
        from sunriza_assets.operations import backfills

        if listed:
            _show(_backfill_rows(instance, storage), as_json=as_json)
            return
        if cancel:
            count = backfills.cancel(storage, instance, cancel)
            facts = {"cancelled": cancel, "runs_cancelled": count}
            text = f"{cancel} is cancelled; {count} waiting runs were taken out of the queue"
            _print_result(facts, text, as_json=as_json)
            return
        if resume:
            wanted = backfills.remaining(storage, instance, resume)
        else:
            listed_ids = [one for text in avatars for one in text.split(",") if one]
            ids = chosen_avatars(store, listed_ids, stale=stale, failed=failed)
            wanted = backfills.Backfill(tuple(ids), parsed_settings(settings), force)
        if not wanted.avatars:
            _print_result({"backfill": None, "avatars": 0}, "nothing to do", as_json=as_json)
            return
        queued = not _has_default_launcher(instance) if here is None else not here
        wanted = replace(wanted, queued=queued)
        backfills.save(storage, wanted)
        if not as_json:
            click.echo(_start_message(wanted), err=True)
        if not queued:
            states = render_backfill(instance, storage, wanted, quiet=as_json)
        else:
            states = _show_progress(instance, storage, wanted, wait=wait, quiet=as_json)
    facts = {"backfill": wanted.backfill_id, "avatars": len(wanted.avatars), **states}
    _print_result(facts, _summary(states), as_json=as_json)
    if states.get("failed"):
        raise click.exceptions.Exit(1)


def chosen_avatars(
    store: "AvatarStore", ids: Iterable[str], *, stale: bool = False, failed: bool = False
) -> list[str]:
    """The avatars that a backfill is about, each once; all of them when none are given.

    Raises:
        AvatarError: an avatar that is named does not exist.
    """
    from resources.avatars.standing import iter_avatars, standing_of

    named = list(dict.fromkeys(ids))
    for avatar_id in named:
        store.get(avatar_id)
    if named:
        return named
    if not stale and not failed:
        return list(store.ids())
    standings = [
        (change.avatar_id, standing_of(change.document))
        for change in iter_avatars(store)
        if change.document is not None  # `sunriza avatar list --failed` shows the unreadable
    ]
    return [
        avatar_id
        for avatar_id, standing in standings
        if (stale and standing.needs_run) or (failed and standing.state == "error")
    ]


def render_backfill(
    instance: "dg.DagsterInstance", storage: "MediaStorage", wanted: "Backfill", *, quiet: bool
) -> dict[str, Any]:
    """Render a backfill's avatars in this process; returns how many ended how, and the time.

    It stops before the next avatar once the backfill is cancelled.
    """
    from sunriza_assets.operations import backfills
    from sunriza_assets.operations.lost_runs import close_lost_runs, with_watchdog
    from sunriza_assets.runs.avatar_runs import AvatarRuns

    close_lost_runs(instance)
    runs = AvatarRuns(instance)
    begin = time.monotonic()
    tags = backfills.run_options(wanted)["tags"]
    counts: Counter[str] = Counter()
    with with_watchdog(), _progress(quiet=quiet) as bar:
        task = bar.add_task("", total=len(wanted.avatars))
        for avatar_id in wanted.avatars:
            if backfills.is_cancelled(storage, wanted.backfill_id):
                counts["cancelled"] = len(wanted.avatars) - counts.total()
                break
            bar.update(task, description=avatar_id)
            try:
                result = runs.render(
                    avatar_id, parameters=dict(wanted.parameters), force=wanted.force, tags=tags
                )
            except KeyboardInterrupt:
                bar.stop()
                resume = f"sunriza backfill --resume {wanted.backfill_id}"
                done = f"{counts.total()} of {len(wanted.avatars)} are over"
                click.echo(f"{done}. The rest: {resume}", err=True)
                raise
            except AvatarError as gone:  # deleted since the backfill was requested
                result = {"error": {"message": gone.message}}
            counts["failed" if result["error"] else "done"] += 1
            if result["error"]:
                message = f"{avatar_id}: error: {result['error']['message']}"
                bar.console.print(message, highlight=False, markup=False, soft_wrap=True)
            bar.advance(task)
    return {**counts, "wall_s": round(time.monotonic() - begin, 3)}


def _progress(*, quiet: bool) -> "Progress":
    """A bar on standard error: what is at work, how many of how many, how long it may take."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )


def _show_progress(
    instance: "dg.DagsterInstance",
    storage: "MediaStorage",
    wanted: "Backfill",
    *,
    wait: bool,
    quiet: bool,
) -> dict[str, Any]:
    """Show the progress of a queued backfill until it is over or interrupted."""
    from sunriza_assets.operations import backfills

    watch = backfills.BackfillProgress(instance, wanted)
    with _progress(quiet=quiet) as bar:
        task = bar.add_task("", total=len(wanted.avatars))
        while True:
            counts: Counter[str] = Counter(watch.states().values())
            over = sum(counts[state] for state in backfills.FINAL_STATES)
            bar.update(task, completed=over, description=f"{counts['running']} at work")
            if not wait or over == len(wanted.avatars):
                return dict(counts)
            if backfills.is_cancelled(storage, wanted.backfill_id) and not counts["running"]:
                counts["cancelled"] += counts.pop("waiting", 0)
                return dict(counts)
            try:
                time.sleep(POLL_INTERVAL_S)
            except KeyboardInterrupt:
                bar.stop()
                stop = f"sunriza backfill --cancel {wanted.backfill_id}"
                click.echo(f"It goes on. Stop it with: {stop}", err=True)
                return dict(counts)


@contextmanager
def _opened_stores() -> Iterator[tuple["dg.DagsterInstance", "AvatarStore", "MediaStorage"]]:
    from resources.home import Home
    from resources.services import Stores
    from sunriza_assets.platform.instance import opened_instance

    with opened_instance(Home.from_environment()) as instance:
        stores = Stores()
        yield instance, stores.avatars, stores.storage


def _has_default_launcher(instance: "dg.DagsterInstance") -> bool:
    """Whether runs start on this very machine, each in a cold process of its own."""
    from resources.dagster_internals import DefaultRunLauncher

    return isinstance(instance.run_launcher, DefaultRunLauncher)


def _backfill_rows(instance: "dg.DagsterInstance", storage: "MediaStorage") -> list[dict[str, Any]]:
    from sunriza_assets.operations import backfills

    rows = []
    for backfill_id in backfills.list_ids(storage):
        wanted = backfills.load(storage, backfill_id)
        counts: Counter[str] = Counter(
            backfills.BackfillProgress(instance, wanted).states().values()
        )
        if backfills.is_cancelled(storage, backfill_id):
            counts["cancelled"] += counts.pop("waiting", 0)
        rows.append(
            {
                "backfill": backfill_id,
                "resumes": wanted.resumes or None,
                "where": "queue" if wanted.queued else "terminal",
                "parameters": dict(wanted.parameters),
                "avatars": len(wanted.avatars),
                **{state: counts[state] for state in _COLUMNS},
            }
        )
    return rows


_COLUMNS: Final = ("done", "failed", "running", "waiting", "cancelled")


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json({"backfills": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))  # six columns in eighty characters
    table.add_column("backfill", no_wrap=True)
    for name in ("avatars", *_COLUMNS):
        table.add_column(name, justify="right")
    for row in rows:
        counts = (str(row[name] or "") for name in ("avatars", *_COLUMNS))
        table.add_row(row["backfill"], *counts)
    Console().print(table)


def _start_message(wanted: "Backfill") -> str:
    count = "1 avatar" if len(wanted.avatars) == 1 else f"{len(wanted.avatars)} avatars"
    return f"backfill {wanted.backfill_id}: {count}, {'queued' if wanted.queued else 'here'}"


def _summary(states: Mapping[str, Any]) -> str:
    parts = [f"{states[name]} {name}" for name in _COLUMNS if states.get(name)]
    return ", ".join(parts) + (f" in {states['wall_s']:.0f} s" if "wall_s" in states else "")


def _print_result(facts: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(dict(facts))
    else:
        click.echo(text)
