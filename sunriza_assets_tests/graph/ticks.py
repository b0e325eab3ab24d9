"""Sensors by hand: a home, an instance, one tick and what it asks for."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from resources.home import Home
from resources.services import Stores, Templates
from sunriza_assets.graph.sensors import avatar_changes

__all__ = ["asked", "document", "home", "instance", "some_job", "tick"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """An empty home with local stores."""
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.delenv("SUNRIZA_STORE", raising=False)
    return Home.from_environment()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance that nobody else uses."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def document(clip: str = "a", **fields: object) -> dict[str, object]:
    """An avatar with both inputs."""
    return {
        "avatarImageUrl": "avatars/x/images/a.jpg",
        "training": {"heroVideoUrl": f"avatars/x/videos/{clip}.mp4"},
        **fields,
    }


def tick(
    instance: dg.DagsterInstance,
    cursor: str | None = None,
    sensor: dg.SensorDefinition = avatar_changes,
) -> dg.SensorResult:
    """One tick of a sensor."""
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"stores": Stores(), "templates": Templates()}
    )
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def asked(result: dg.SensorResult) -> list[str | None]:
    """Whom a tick asks runs for."""
    return [request.partition_key for request in result.run_requests or []]


def some_job() -> dg.JobDefinition:
    """A job to make run records of."""

    @dg.op
    def nothing() -> None:
        """Some step."""

    @dg.job
    def anything() -> None:
        nothing()

    return anything
