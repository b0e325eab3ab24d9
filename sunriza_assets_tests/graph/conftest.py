"""A whole installation in a temporary home: stores, Dagster instance, one rendered avatar."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest

from resources.accounting.event_log import update_ledger
from resources.home import Home
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger
from sunriza_assets.platform.instance import opened_instance
from sunriza_assets.runs.avatar_runs import AvatarRuns
from sunriza_assets.studio.sample.clip import Sample

SHORT: Final = {"max_seconds": 3.0, "stitching_retargeting_eyes_width": 256}
"""Parameters of a render that costs a few seconds."""


@dataclass(frozen=True)
class Installation:
    """One home with everything in it."""

    home: Home
    instance: dg.DagsterInstance
    runs: AvatarRuns
    sample: Sample


@contextmanager
def installed(root: Path, models_root: Path, sample: Sample) -> Iterator[Installation]:
    """A home in which the avatar `demo` waits; the environment is its own until it is left."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SUNRIZA_")]:
            patch.delenv(name)
        patch.setenv("SUNRIZA_HOME", str(root))
        patch.setenv("SUNRIZA_MODELS", str(models_root))
        patch.setenv("DAGSTER_HOME", str(root / "dagster"))
        home = Home.from_environment()
        with opened_instance(home) as instance:
            add_avatar("demo", sample.portrait, sample.clip)
            yield Installation(home, instance, AvatarRuns(instance), sample)


@pytest.fixture(scope="session")
def installation(
    models_root: Path, sample: Sample, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """The home that most modules share."""
    with installed(tmp_path_factory.mktemp("home"), models_root, sample) as shared:
        yield shared


@pytest.fixture(scope="module")
def ada(installation: Installation) -> dict[str, Any]:
    """The result of a short avatar, rendered once per module; another one's is reused."""
    add_avatar("ada", installation.sample.portrait, installation.sample.clip)
    result = installation.runs.render("ada", parameters=SHORT)
    assert result["error"] is None
    return result


@pytest.fixture
def ledger(installation: Installation) -> Ledger:
    """The installation's ledger, up to date."""
    ledger = Ledger(installation.home.reports / LEDGER_FOLDER)
    update_ledger(installation.instance, ledger)
    return ledger
