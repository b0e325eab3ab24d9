"""A fleet on one machine: Redis, PostgreSQL, daemon, workers, and avatars to work on."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.avatars.local import LocalAvatars
from resources.home import Home
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.platform.instance import prepare_instance
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets.studio.sample.performance import Performance, perform
from sunriza_assets_tests.fleet.servers import Child, Redis, postgres, wait_until

ROOT = Path(__file__).parents[2]
SMALL: Mapping[str, Any] = {
    "engine": "mesh",
    "stitching_retargeting_eyes_width": 256,
    "max_seconds": 1.0,
    "loop": False,  # a second of rest has no step that a seam could be measured by
}
"""Parameters with which the real engine needs a second or two for an avatar."""
LONGER: Mapping[str, Any] = {**SMALL, "max_seconds": 10.0}
"""As small, but the whole clip: its steps take long enough to be met at work."""
QUICK_WATCH = {"poll_interval_seconds": 2, "free_slots_after_run_end_seconds": 2}
"""Run monitoring that looks five times as often as it is shipped: as many looks, less waiting."""


@dataclass
class Installation:
    """A home, its stores and its Dagster instance, in use by this process and its children."""

    root: Path
    home: Home
    env: Mapping[str, str]
    broker: Redis | None = None
    children: list[Child] = field(default_factory=list)

    @property
    def avatars(self) -> LocalAvatars:
        """The documents."""
        return LocalAvatars(self.home)

    def start(self, name: str, *arguments: str | Path) -> Child:
        """A child process with this installation's environment."""
        child = Child(arguments, self.root / f"{name}.log", env=self.env, cwd=ROOT)
        self.children.append(child)
        return child

    def start_daemon(self) -> None:
        """Run queue, sensors, monitoring and retries."""
        daemon = Path(sys.executable).with_name("dagster-daemon")
        child = self.start("daemon", daemon, "run", "-m", "sunriza_assets.definitions")
        wait_until("the daemon works", lambda: "for sensor:" in child.log.read_text())

    def add(
        self,
        avatar_id: str,
        sample: Sample,
        parameters: Mapping[str, Any] = SMALL,
        *,
        watched: bool = True,
    ) -> None:
        """An avatar; one that is not watched is rendered only when somebody asks for it."""
        add_avatar(avatar_id, sample.portrait, sample.clip, parameters=dict(parameters))
        if not watched:
            self.avatars.merge(avatar_id, {"training": {"dynamicsEnabled": False}})

    def stop(self) -> None:
        """End all children, the last first; what they said last is shown when a test fails."""
        for child in reversed(self.children):
            child.stop()
            lines = child.log.read_text(errors="replace").splitlines()
            lines = [line for line in lines if " DEBUG - " not in line]
            print(f"\n--- {child.log.name}", *lines[-60:], sep="\n")  # noqa: T201 - pytest keeps it


@pytest.fixture(scope="session")
def clips(make_sample: Callable[[Performance], Sample]) -> list[Sample]:
    """Four short samples whose clips differ."""
    return [make_sample(perform(Fraction(rate), Fraction(2))) for rate in (20, 24, 25, 30)]


@pytest.fixture(scope="module")
def machine(models_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One machine with the shipped settings: SQLite, a process per run, a daemon at work."""
    root = tmp_path_factory.mktemp("machine")
    with pytest.MonkeyPatch.context() as patch:
        made = _installation(root, models_root, root / "home" / "dagster", {}, patch)
        prepare_instance(made.home, gpus=1)
        try:
            made.start_daemon()
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def fleet(models_root: Path) -> Iterator[Installation]:
    """Settings of many machines as shipped, with a daemon at work; workers are started by tests."""
    # Below pytest's own folders the database's user could not reach its files.
    root = Path(tempfile.mkdtemp(prefix="sunriza-fleet-"))
    root.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        broker = stack.enter_context(Redis(root))
        said = {
            "SUNRIZA_POSTGRES_URL": stack.enter_context(postgres(root / "postgres")),
            "SUNRIZA_CELERY_BROKER": broker.url,
            "SUNRIZA_TEST_DIARY": str(root / "diary"),
        }
        (root / "diary").mkdir()
        (root / "dagster").mkdir()
        settings = yaml.safe_load((ROOT / "deploy" / "celery" / "dagster.yaml").read_text())
        settings["concurrency"]["runs"]["max_concurrent_runs"] = 3
        settings["run_monitoring"].update(QUICK_WATCH)
        (root / "dagster" / "dagster.yaml").write_text(yaml.safe_dump(settings))
        made = _installation(root, models_root, root / "dagster", said, patch)
        made.broker = broker
        stack.callback(made.stop)
        prepare_instance(made.home, gpus=2)
        made.start_daemon()
        yield made


def _installation(
    root: Path,
    models_root: Path,
    dagster_home: Path,
    said: Mapping[str, str],
    patch: pytest.MonkeyPatch,
) -> Installation:
    for name in [name for name in os.environ if name.startswith("SUNRIZA_")]:
        patch.delenv(name)
    settings = {
        "SUNRIZA_HOME": str(root / "home"),
        "SUNRIZA_MODELS": str(models_root),
        "DAGSTER_HOME": str(dagster_home),
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        **said,
    }
    for name, value in settings.items():
        patch.setenv(name, value)
    return Installation(root, Home.from_environment(), dict(os.environ))
