"""The Dagster instance below SUNRIZA_HOME: prepared under a lock, and opened by every command.

Two processes that open a fresh SQLite home at the same time corrupt it, so the first opening
happens under a lock; the shipped `dagster.yaml` is kept current in the home.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import dagster as dg
from filelock import FileLock

from resources.home import Home
from sunriza_assets.atomic import make_folder
from sunriza_assets.errors import StoreError
from sunriza_assets.platform.pools import GPU_POOL
from sunriza_assets.platform.storage.databases import check_databases, mark_prepared

__all__ = ["gpu_count", "opened_instance", "prepare_instance"]

_PACKAGE: Final = Path(__file__).parents[1]


def prepare_instance(home: Home, *, gpus: int | None = None) -> None:
    """Make DAGSTER_HOME ready: its folder, its settings, its database, the limit of the GPU pool.

    Also sets SUNRIZA_HOME and DAGSTER_HOME for this process and its children, as absolute paths:
    Dagster starts code servers and runs in folders of its own choosing. A DAGSTER_HOME that is
    already set is an operator's own instance and stays.

    Args:
        gpus: how many steps the pool `gpu` admits at once; the machine's GPUs (at least 1) when
            None and no limit was ever set.

    Raises:
        StoreError: the home cannot be made, or a database in it is damaged.
    """
    with _opened(home, gpus):
        pass


@contextmanager
def opened_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """The prepared instance; see `prepare_instance`."""
    with _opened(home, None) as instance:
        yield instance


def _opened(home: Home, gpus: int | None) -> dg.DagsterInstance:
    """The instance, prepared and opened once: opening it looks through all of Dagster's
    migrations for every database. It is for the caller to close."""
    os.environ["SUNRIZA_HOME"] = str(home.root)
    folder = Path(os.environ.setdefault("DAGSTER_HOME", str(home.dagster)))
    home.make()
    try:
        make_folder(folder)
        with FileLock(folder / ".prepare.lock"), ExitStack() as closing:
            settings = folder / "dagster.yaml"
            if folder == home.dagster and not _has_same_content(settings, shipped_settings()):
                shutil.copyfile(shipped_settings(), settings)
            check_databases(folder)
            instance = closing.enter_context(dg.DagsterInstance.get())
            _limit_pool(instance, gpus)
            mark_prepared(folder)
            closing.pop_all()
            return instance
    except dg.DagsterInvalidConfigError as error:
        reasons = "; ".join(_plain(one.message) for one in error.errors)
        raise StoreError(
            f"Dagster's settings cannot be used: {reasons}",
            where=folder / "dagster.yaml",
            code="settings",
        ) from error
    except OSError as error:
        raise StoreError(
            f"The Dagster home cannot be made: {error.strerror}", where=folder
        ) from error


def shipped_settings() -> Path:
    """`dagster.yaml` of the checkout, or the copy inside an installed package."""
    inside = _PACKAGE / "dagster.yaml"
    return inside if inside.exists() else _PACKAGE.parent / "dagster.yaml"


def gpu_count() -> int:
    """NVIDIA devices of this machine, from the driver's own device files."""
    return len(list(Path("/dev").glob("nvidia[0-9]*")))


def _limit_pool(instance: dg.DagsterInstance, gpus: int | None) -> None:
    limits = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    wanted = gpus if gpus is not None else limits.get(GPU_POOL) or max(1, gpu_count())
    if limits.get(GPU_POOL) != wanted:
        instance.event_log_storage.set_concurrency_slots(GPU_POOL, wanted)


def _plain(message: str) -> str:
    """What an error of settings says, without the traceback that Dagster puts into it."""
    named = re.search(r"environment variable \"(\w+)\" which is not set", message)
    return (
        f"{named[1]} is not set" if named else " ".join(message.split("\n", maxsplit=1)[0].split())
    )


def _has_same_content(one: Path, other: Path) -> bool:
    return one.exists() and one.read_bytes() == other.read_bytes()
