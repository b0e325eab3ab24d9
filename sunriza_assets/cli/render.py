"""`sunriza render`: materialize avatars through Dagster, with a progress bar."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from sunriza_assets.cli.options import as_json, parsed_settings, print_json, settings_option

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["render", "render_avatars", "result_folders", "results_table"]


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--only", multiple=True, metavar="ASSET", help="Materialize only this asset.")
@settings_option
@click.option("--force", is_flag=True, help="Make everything anew, whatever is unchanged.")
@as_json
def render(
    ids: tuple[str, ...],
    only: tuple[str, ...],
    settings: tuple[str, ...],
    force: bool,
    as_json: bool,
) -> None:
    """Render avatars, one after another, and publish them.

    What is unchanged (portrait, clip, parameters, code, engine, models) is not made again.
    Settings given here hold for this run only; `sunriza avatar add --set` changes what the avatar's
    document asks for. Exit code 1 if any avatar failed.
    """
    from resources.avatars.ids import checked_avatar_id

    for avatar_id in ids:
        checked_avatar_id(avatar_id)
    parameters = parsed_settings(settings)
    results = {} if only or force else _unchanged(ids, parameters)
    rest = tuple(avatar_id for avatar_id in ids if avatar_id not in results)
    if rest:  # what is left needs Dagster, which takes longer to load than all of this
        results |= render_avatars(rest, only, parameters, force=force, quiet=as_json)
    results = {avatar_id: results[avatar_id] for avatar_id in ids}
    if as_json:
        print_json({"avatars": results})
    else:
        for avatar_id, result in results.items():
            _print_result(avatar_id, result)
    if any(result["status"] == "error" for result in results.values()):
        raise click.exceptions.Exit(1)


def _unchanged(ids: tuple[str, ...], parameters: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Results of the avatars for which a run would make nothing."""
    import time
    from dataclasses import replace

    from resources.storage.logged_urls import as_path
    from resources.stores import open_stores
    from sunriza_assets.runs.up_to_date import unchanged_publication

    for avatar_id in ids:  # an unknown avatar is an error before anything is rendered
        open_stores().avatars.get(avatar_id)
    found = {}
    for avatar_id in ids:
        begin = time.monotonic()
        in_place = unchanged_publication(avatar_id, parameters)
        if in_place is None:
            continue
        published = {
            "seconds": 0.0,
            "cache": "unchanged",
            "files": [as_path(url) for url in in_place.urls],
            "metadata": {"reused_from": in_place.manifest.run_id},
        }
        found[avatar_id] = {
            "status": "ready",
            "run_id": in_place.manifest.run_id,
            "engine": in_place.manifest.engine,
            "parameters": dict(in_place.manifest.parameters),
            "estimate": None,
            "wall_s": round(time.monotonic() - begin, 3),
            "assets": {"published_avatar": published},
            "total": replace(in_place.manifest.total, seconds=0.0, cost=0.0).to_dict(),
            "error": None,
        }
    return found


def render_avatars(
    ids: tuple[str, ...],
    only: tuple[str, ...] = (),
    parameters: dict[str, Any] | None = None,
    *,
    force: bool = False,
    quiet: bool = False,
) -> dict[str, dict[str, Any]]:
    """Render avatars in this process; see `AvatarRuns.render` for the results."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from resources.home import Home
    from resources.services import Stores
    from sunriza_assets.operations.lost_runs import close_lost_runs, with_watchdog
    from sunriza_assets.platform.instance import opened_instance
    from sunriza_assets.runs.avatar_runs import AvatarRuns

    columns = [
        TextColumn("{task.fields[avatar]}"),
        TextColumn("{task.description:<16}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    ]
    bar = Progress(*columns, console=Console(stderr=True), disable=quiet)
    tasks: dict[tuple[str, str], Any] = {}

    def on_progress(avatar_id: str, asset: str, share: float) -> None:
        if (avatar_id, asset) not in tasks:
            tasks[avatar_id, asset] = bar.add_task(asset, total=1.0, avatar=avatar_id)
        bar.update(tasks[avatar_id, asset], completed=share)

    def announce(avatar_id: str, estimate: Mapping[str, Any]) -> None:
        if not quiet:
            bar.console.print(f"{avatar_id}: {_summary(estimate)}", highlight=False)

    with opened_instance(Home.from_environment()) as instance, with_watchdog(), bar:
        close_lost_runs(instance)
        for avatar_id in ids:  # an unknown avatar is an error before anything is rendered
            Stores().avatars.get(avatar_id)
        runs = AvatarRuns(instance, on_progress, announce)
        return {
            avatar_id: runs.render(avatar_id, only=only, parameters=parameters, force=force)
            for avatar_id in ids
        }


def _summary(estimate: Mapping[str, Any]) -> str:
    """What a run is expected to take, in one line."""
    parts = [f"about {estimate['eta_s']:.0f} s"]
    if "expected_cost" in estimate:
        parts.append(f"{estimate['expected_cost']:.6f} {estimate['cost_currency']}")
    return f"{', '.join(parts)} by {estimate['price_book']} ({estimate['estimate_basis']})"


def _print_result(avatar_id: str, result: dict[str, Any]) -> None:
    if result["error"]:
        click.echo(f"{avatar_id}: error: {result['error']['message']}", err=True)
        return
    from rich.console import Console

    console = Console()
    console.print(results_table(avatar_id, result))
    for place in result_folders(result):
        console.print(f"results  {place}", soft_wrap=True, highlight=False)


def results_table(avatar_id: str, result: dict[str, Any]) -> "Table":
    """What each asset took, cost and made, and the run's total."""
    from rich.table import Table

    from sunriza_assets.costs.totals import RunTotal, steps_in_total

    total = RunTotal.from_dict(result["total"])
    title = f"{avatar_id}: {result['status']}, total {total}"
    if result["engine"]:
        title += f", engine {result['engine']}"
    table = Table(title=title, title_justify="left")
    table.add_column("asset")
    table.add_column("seconds", justify="right")
    table.add_column("cost", justify="right")
    table.add_column("cache")
    table.add_column("files")
    last = next(reversed(steps_in_total(result["assets"])), None)  # a total ends with publishing
    for name, asset in result["assets"].items():
        metadata = asset["metadata"]
        cost = metadata.get("cost")
        table.add_row(
            name,
            f"{asset['seconds']:.2f}" if asset["seconds"] is not None else "",
            f"{cost:.6f} {metadata['cost_currency']}" if cost is not None else "",
            asset["cache"] or "",
            ", ".join(PurePosixPath(file).name for file in asset["files"]),
            end_section=name == last,
        )
        if name == last:
            table.add_row("total", f"{total.seconds:.2f}", total.amount, "", "", end_section=True)
    return table


def result_folders(result: dict[str, Any]) -> list[str]:
    """Folders of the results: the published one, or those of single assets."""
    assets = result["assets"]
    shown = (
        {"published_avatar": assets["published_avatar"]} if "published_avatar" in assets else assets
    )
    places = {file.rpartition("/")[0] for asset in shown.values() for file in asset["files"]}
    # Documents name a version's own folder; people look in the one above, which has the latest.
    return sorted({re.sub(r"/v\d{6}-[0-9a-f]+(/.*)?$", "", place) for place in places})
