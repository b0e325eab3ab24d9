"""`sunriza avatar remove`: remove avatars from every store, and the remains of deleted ones."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from sunriza_assets.cli.options import as_json, print_json
from sunriza_assets.errors import AvatarError

if TYPE_CHECKING:
    import dagster as dg

    from resources.services import Stores
    from sunriza_assets.operations.purge import PurgeResult

__all__ = ["remove"]

_BATCH: Final = 300
"""Documents looked for in one request."""


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID...]")
@click.option(
    "--orphans",
    is_flag=True,
    help="Remove what is left of avatars without a document; reads the names of all objects.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json
def remove(ids: tuple[str, ...], orphans: bool, yes: bool, as_json: bool) -> None:
    """Remove avatars for good: documents, uploads, results, records.

    A removal that was interrupted goes on when the command is given again, or by a sensor.
    """
    from resources.home import Home
    from resources.services import Stores, Templates
    from sunriza_assets.operations.purge import purge
    from sunriza_assets.platform.instance import opened_instance

    if bool(ids) == orphans:
        raise click.UsageError("Name avatars, or say --orphans.")
    stores = Stores()
    with opened_instance(Home.from_environment()) as instance:
        for avatar_id in ids:
            _check_known(instance, stores, avatar_id)
        chosen = list(ids) or _orphans(stores)
        if chosen and not yes and not as_json:
            click.confirm(f"Remove {', '.join(chosen)} with all files?", abort=True)
        results = {
            avatar_id: _facts(purge(instance, stores, Templates(), avatar_id, remove=not orphans))
            for avatar_id in chosen
        }
    if as_json:
        print_json({"avatars": results})
        return
    for avatar_id, facts in results.items():
        click.echo(f"{avatar_id}: {_summary(facts)}")
    if not results:
        click.echo("nothing to remove")


def _check_known(instance: "dg.DagsterInstance", stores: "Stores", avatar_id: str) -> None:
    """Make sure that there is something to remove.

    Raises:
        AvatarError: there is no document, no record, no partition and no object of such an avatar.
    """
    from resources.avatars.store import no_such_avatar
    from sunriza_assets.graph.partitions import AVATARS
    from sunriza_assets.operations.purge import prefixes_of

    if stores.avatars.present([avatar_id]) or instance.has_dynamic_partition(
        AVATARS.name or "", avatar_id
    ):
        return
    try:
        stores.avatars.check_free(avatar_id)
    except AvatarError as taken:
        if taken.code == "avatar.id":
            raise
        return  # a record is there
    prefixes = prefixes_of(avatar_id)
    if not any(stored for prefix in prefixes for stored in stores.storage.list(prefix)):
        raise no_such_avatar(avatar_id)


def _orphans(stores: "Stores") -> list[str]:
    """Ids that objects are kept under and no document has."""
    from resources.avatars.ids import is_avatar_id

    found: set[str] = set()
    for prefix in ("avatars/", "pipeline/"):
        names = (stored.name.split("/") for stored in stores.storage.list(prefix))
        found |= {parts[1] for parts in names if len(parts) > 2 and is_avatar_id(parts[1])}
    present: set[str] = set()
    for some in _batches(sorted(found)):
        present |= stores.avatars.present(some)
    return sorted(found - present)


def _batches(ids: list[str]) -> Iterable[list[str]]:
    return (ids[begin : begin + _BATCH] for begin in range(0, len(ids), _BATCH))


def _facts(purged: "PurgeResult | None") -> dict[str, Any]:
    """The result of one removal as JSON values."""
    if purged is None:  # its document has come back meanwhile
        return {"state": "kept", "objects": 0, "templates": 0}
    state = "removed" if purged.is_complete else "waiting"
    return {"state": state, "objects": purged.objects, "templates": purged.templates}


def _summary(facts: dict[str, Any]) -> str:
    if facts["state"] == "removed":
        return f"removed, {facts['objects']} objects and {facts['templates']} motion templates"
    if facts["state"] == "waiting":
        return "its document is removed; the rest goes when its run has ended (remove it again)"
    return "kept, it has a document"
