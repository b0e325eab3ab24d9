"""`sunriza worker`: a warm worker of a fleet, one per GPU and one for what needs none."""

import importlib

import click

__all__ = ["worker"]


@click.command()
@click.argument("kind", type=click.Choice(["gpu", "cpu"]), required=False)
@click.option(
    "--gpu",
    metavar="DEVICE",
    help="The one GPU that this worker sees (CUDA_VISIBLE_DEVICES).",
)
@click.option("--name", help="Unique among this machine's workers; else made of kind and GPU.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Runs at once; leave it at 1 on a GPU.",
)
@click.option("--ping", is_flag=True, help="Only ask whether a worker of this machine answers.")
def worker(
    kind: str | None, gpu: str | None, name: str | None, concurrency: int, ping: bool
) -> None:
    """Take runs from the queue `gpu` or `cpu` and work on them, models warm.

    Needs SUNRIZA_CELERY_BROKER, and DAGSTER_HOME with the `dagster.yaml` of the fleet. SIGTERM lets
    the present run finish. Exit code 1 when a pinged worker does not answer.
    """
    from sunriza_assets.errors import ParameterError
    from sunriza_assets.platform.celery import settings

    url = settings.broker_url()
    try:
        from sunriza_assets.platform.celery.worker import is_worker_reachable, run_worker
    except ModuleNotFoundError as missing:
        raise ParameterError(
            f"A worker needs {missing.name}", remedy="pip install 'sunriza-assets[celery]'"
        ) from missing
    if ping:
        if not is_worker_reachable(url):
            raise click.exceptions.Exit(1)
        return
    if kind is None:
        raise click.UsageError("Say gpu or cpu.")
    queues = {"gpu": [settings.GPU_QUEUE], "cpu": [settings.CPU_QUEUE, settings.UNTAGGED_QUEUE]}
    run_worker(
        url,
        queues[kind],
        name=name or (f"{kind}{gpu}" if gpu is not None else kind),
        concurrency=concurrency,
        preload=lambda: importlib.import_module("sunriza_assets.definitions"),
        gpu=gpu,
    )
