"""`sunriza avatar`: add, list and show avatars in whichever store is configured."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sunriza_assets.cli.avatar_card import age
from sunriza_assets.cli.options import (
    as_json,
    parsed_settings,
    print_json,
    settings_option,
    verbose_option,
)
from sunriza_assets.cli.removal import remove

if TYPE_CHECKING:
    from resources.avatars.store import Change
    from sunriza_assets.studio.inspection import Finding

__all__ = ["add_avatar", "avatar", "avatar_row"]


@click.group()
def avatar() -> None:
    """Add, list, show and remove avatars."""


avatar.add_command(remove)


@avatar.command()
@click.argument("avatar_id", metavar="ID")
@click.option(
    "--image",
    required=True,
    type=click.Path(path_type=Path),
    help="The portrait: a picture of one face.",
)
@click.option(
    "--video",
    type=click.Path(path_type=Path),
    help="The talking clip; without one a built-in performance moves the portrait.",
)
@click.option(
    "--performance",
    metavar="NAME",
    help="Which one, see `sunriza performances`; calm for a new avatar without a clip.",
)
@click.option("--name", help="What people call the avatar; its id when not given.")
@click.option(
    "--check/--no-check",
    default=True,
    help="Look at the face and the clip first, refuse what cannot work, and give advice.",
)
@settings_option
@as_json
def add(
    avatar_id: str,
    image: Path,
    video: Path | None,
    performance: str | None,
    name: str | None,
    check: bool,
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Upload a portrait and a clip, and write the avatar's document.

    Both are examined first: plain files of the right kind within the limits, and no links. Adding
    an avatar again replaces its inputs, and only the portrait where nothing is said of what moves
    it; settings are added to those it has.
    """
    import tempfile

    from resources.avatars.ids import checked_avatar_id
    from sunriza_assets.studio.media.intake import copy_inputs

    checked_avatar_id(avatar_id)
    parameters = parsed_settings(settings)
    with tempfile.TemporaryDirectory(prefix="sunriza-") as folder:
        portrait, clip = copy_inputs(image, video, Path(folder))
        findings = _coach_findings(portrait, clip, parameters) if check else []
        document = add_avatar(
            avatar_id, portrait, clip, performance=performance, name=name, parameters=parameters
        )
    if as_json:
        advice = [finding.to_dict() for finding in findings]
        print_json({"avatar": document, "findings": advice})
    else:
        for finding in findings:
            click.echo(f"advice: {finding.sentence}")
        performance = (document.get("training") or {}).get("performance")
        moved_by = f", moved by the performance {performance}" if performance else ""
        click.echo(f"{avatar_id} added{moved_by}. Render it with: sunriza render {avatar_id}")


def _coach_findings(
    portrait: Path, clip: Path | None, parameters: dict[str, Any]
) -> "list[Finding]":
    """Findings of the input coach.

    Raises:
        MediaError: an input that cannot work.
        ModelError: the face models have not been pulled.
    """
    from dataclasses import replace

    from resources.home import Home
    from sunriza_assets.errors import ModelError
    from sunriza_assets.studio.face.landmarks import FaceMesh
    from sunriza_assets.studio.face.model_store import ModelStore
    from sunriza_assets.studio.inspection import inspect_inputs, refusal
    from sunriza_assets.studio.media.limits import DEFAULT_LIMITS
    from sunriza_assets.studio.parameters import RenderParameters

    try:
        mesh = FaceMesh(ModelStore(Home.from_environment().models))
    except ModelError as missing:
        raise ModelError(
            missing.what,
            where=missing.where,
            remedy=f"{missing.remedy or ''} Or add the files without a look: --no-check.".strip(),
        ) from missing
    limits = replace(DEFAULT_LIMITS, clip_seconds=RenderParameters(**parameters).max_seconds)
    findings = inspect_inputs(mesh, portrait=portrait, clip=clip, limits=limits)
    error = refusal(findings, remedy="Nothing was added; --no-check adds it all the same.")
    if error is not None:
        raise error
    return findings


def add_avatar(
    avatar_id: str,
    image: Path,
    video: Path | None,
    *,
    performance: str | None = None,
    name: str | None = None,
    parameters: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Upload the inputs and merge the document; returns the document.

    Raises:
        AvatarError: the id is none, or there is no such performance.
        ParameterError: both a clip and a performance, or a wrong parameter.
    """
    from resources.avatars.adding import AvatarInputs, add_or_replace
    from resources.services import Stores

    stores = Stores()
    inputs = AvatarInputs(image, video, performance, name, parameters or {})
    return add_or_replace(stores.avatars, stores.storage, avatar_id, inputs).plain


@avatar.command("list")
@click.option("--failed", is_flag=True, help="Only those whose last run ended in an error.")
@as_json
def list_avatars(failed: bool, as_json: bool) -> None:
    """List avatars: how they stand, since when, and why."""
    from resources.avatars.standing import iter_avatars
    from resources.services import Stores

    rows = [avatar_row(change) for change in iter_avatars(Stores().avatars)]
    if failed:
        rows = [row for row in rows if row["state"] in ("error", "unreadable")]
    if as_json:
        print_json({"avatars": rows})
        return
    from rich.console import Console
    from rich.table import Table

    columns = ("id", "name", "state", "for", "reason")
    table = Table(*columns)
    for row in rows:
        shown = {**row, "for": age(row["since"])}
        table.add_row(*(str(shown.get(name) or "") for name in columns))
    Console().print(table)
    count = "1 avatar" if len(rows) == 1 else f"{len(rows)} avatars"
    hint = " - render them again with: sunriza backfill --failed" if failed and rows else ""
    click.echo(count + hint)


def avatar_row(change: "Change") -> dict[str, Any]:
    """One avatar as a row of `avatar list`."""
    from resources.avatars.standing import standing_of

    document = change.document
    if document is None:
        return {
            "id": change.avatar_id,
            "state": "unreadable",
            "reason": change.problem,
            "since": None,
        }
    standing = standing_of(document)
    return {
        "id": change.avatar_id,
        "name": document.data.get("name"),
        "state": standing.state,
        "reason": standing.reason,
        "since": standing.since.isoformat(timespec="seconds"),
        "status": document.status or "new",
        "wanted": standing.wanted,
        "published": standing.published,
        "version": standing.version,
        "error": document.basic.get("error"),
    }


@avatar.command()
@click.argument("avatar_id", metavar="ID")
@verbose_option
@as_json
def show(avatar_id: str, verbose: bool, as_json: bool) -> None:
    """Show where one avatar stands, its files, and the parameters it has of its own."""
    from resources.services import Stores
    from sunriza_assets.cli.avatar_card import print_avatar
    from sunriza_assets.studio.parameters import resolve
    from sunriza_assets.studio.performances.named import with_performance_defaults

    document = Stores().avatars.get(avatar_id)
    if as_json:
        print_json(
            {
                "id": avatar_id,
                "status": document.status or "new",
                "needs_run": document.needs_run,
                "parameters": resolve(
                    with_performance_defaults(document.performance, document.wishes)
                ).to_dict(),
                "document": document.plain,
            }
        )
        return
    from rich.console import Console

    print_avatar(Console(), document, verbose=verbose)
