"""`sunriza deploy` and `sunriza dev`: prepare an instance, start the UI and the daemon on it."""

import os
from pathlib import Path

import click

from sunriza_assets.cli.options import as_json, print_json

__all__ = ["deploy", "dev"]


@click.group()
def deploy() -> None:
    """Prepare an instance: home, storage, pools."""


@deploy.command()
@click.option("--gpus", type=click.IntRange(1, 64), help="GPU steps at once; else this machine's.")
@as_json
def init(gpus: int | None, as_json: bool) -> None:
    """Make SUNRIZA_HOME and DAGSTER_HOME ready and set the limit of the pool `gpu`.

    Run it once per instance before its first run: a pool without an explicit limit has been seen
    to let two GPU steps run at once.
    """
    from resources.home import Home
    from sunriza_assets.platform.instance import gpu_count, prepare_instance

    home = Home.from_environment()
    prepare_instance(home, gpus=gpus or max(1, gpu_count()))
    facts = {
        "home": str(home.root),
        "dagster_home": os.environ["DAGSTER_HOME"],
        "gpu_pool": gpus or max(1, gpu_count()),
    }
    if as_json:
        print_json(facts)
    else:
        click.echo("\n".join(f"{name}: {value}" for name, value in facts.items()))


@deploy.command()
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Days that every run is kept.",
)
@as_json
def prune(days: float, as_json: bool) -> None:
    """Delete old runs from Dagster's storage, but for each avatar's latest whole one.

    What they cost is written into the ledger before. Published files, documents and templates do
    not know of runs and stay. Backfills that were asked for before that go, too, and so do
    the parts of files that killed processes left more than a day ago.
    """
    from datetime import UTC, datetime, timedelta

    from resources.home import Home
    from resources.services import Stores
    from resources.storage.leftovers import sweep_leftovers
    from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger
    from sunriza_assets.definitions import build_defs
    from sunriza_assets.graph.jobs import AVATAR_DYNAMICS
    from sunriza_assets.operations import backfills
    from sunriza_assets.operations.pruning import prune as delete_old
    from sunriza_assets.platform.instance import opened_instance

    home = Home.from_environment()
    before = datetime.now(UTC) - timedelta(days=days)
    with opened_instance(home) as instance:
        job = build_defs().resolve_job_def(AVATAR_DYNAMICS.name)
        all_assets = {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
        ledger = Ledger(home.reports / LEDGER_FOLDER)
        facts = {
            "runs": delete_old(instance, ledger, before=before, all_assets=all_assets),
            # Without their runs it is unknown what they left undone.
            "backfills": backfills.delete_before(Stores().storage, before=before),
            "leftovers": sweep_leftovers(home, force=True),
        }
    if as_json:
        print_json(facts)
    else:
        text = ", ".join(f"{count} {name}" for name, count in facts.items())
        click.echo(f"deleted: {text}")


@click.command()
@click.option("--port", default=3000, show_default=True, help="Port of the UI.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of the UI.")
def dev(port: int, host: str) -> None:
    """Start the Dagster UI and daemon on this home; the sensor renders whatever is added.

    The local store's files are served on the port after the UI's, or on a free one if that is
    taken, and links in the UI lead there. Its root lists the avatars.
    """
    from resources.home import Home
    from resources.serving.media_server import available_port, start_with_parent
    from resources.settings import current_settings
    from sunriza_assets.errors import StoreError
    from sunriza_assets.platform.dev import run_dev
    from sunriza_assets.platform.instance import opened_instance
    from sunriza_assets.platform.storage.databases import check_databases

    if available_port(port) != port:
        raise StoreError(f"Port {port} is in use", remedy="Name another with --port.", code="port")
    with opened_instance(Home.from_environment()) as instance:
        # The daemon reads every page sooner or later, and would say so in a traceback a minute.
        check_databases(Path(os.environ["DAGSTER_HOME"]), thoroughly=True)
        files_port = available_port(port + 1)
        click.echo(f"UI       http://localhost:{port}")
        if current_settings().store == "local":
            start_with_parent(files_port)
            click.echo(f"avatars  http://localhost:{files_port}")
        run_dev(instance, host=host, port=port, files_port=files_port)
