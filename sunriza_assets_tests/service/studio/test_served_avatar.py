"""An avatar's whole life over HTTP with all processes: made, drafted, published, purged."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.processes import wait_for
from sunriza_assets_tests.service.serving_processes import Serving, begin_serving

SMALL = '{"maxSeconds": 1, "sourceMaxDim": 256, "loop": false}'

pytestmark = pytest.mark.slow


@pytest.fixture
def serving(
    tmp_path: Path, models_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Serving]:
    for name in [name for name in os.environ if name.startswith("SUNRIZA_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.setenv("SUNRIZA_MODELS", str(models_root))
    begun = begin_serving(["--no-ui"], tmp_path / "serve.log")
    begun.wait_until_ready()
    yield begun
    begun.end()


def ended(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """A job once it has ended."""
    until = time.monotonic() + 240
    while time.monotonic() < until:
        job = client.get(f"/jobs/{job_id}", params={"wait": 10}).json()
        if job["status"] in ("done", "error"):
            return dict(job)
    raise AssertionError(f"{job_id} does not end")


def test_a_whole_life(serving: Serving, sample: Sample, tmp_path: Path) -> None:
    with httpx.Client(base_url=serving.url, timeout=120, trust_env=False) as client:
        answer = client.post(
            "/avatars",
            files={"portrait": ("p", sample.portrait.read_bytes())},
            data={"name": "Ada", "performance": "calm", "parameters": SMALL},
        )
        assert answer.status_code == 201, answer.text
        avatar_id = answer.json()["avatar"]["id"]
        done = ended(client, answer.json()["job"]["job_id"])
        assert done["status"] == "done", done["error"]
        [row] = client.get("/avatars").json()["avatars"]
        assert (row["state"], row["version"]) == ("ready", done["result"]["version"])
        assert client.get(row["poster_url"]).headers["content-type"] == "image/jpeg"

        draft = client.post(
            "/generate-dynamics",
            json={
                "avatar_id": avatar_id,
                "publish": False,
                "parameters": {"drivingMultiplier": 0.8},
            },
        ).json()
        drafted = ended(client, draft["job_id"])
        assert drafted["status"] == "done", drafted["error"]
        assert drafted["cost"]["seconds"] > 0
        assert client.get(f"/avatars/{avatar_id}").json()["version"] == row["version"]
        versions = client.get(f"/avatars/{avatar_id}/versions").json()["versions"]
        assert [one["state"] for one in versions] == ["draft", "current"]
        assert versions[0]["changed"] == {"driving_multiplier": [1.7, 0.8]}
        assert client.get(versions[0]["idle_url"]).status_code == 200

        for version in (drafted["result"]["version"], row["version"]):
            answer = client.post(f"/avatars/{avatar_id}/versions/{version}/publish")
            assert answer.status_code == 200, answer.text
            assert answer.json()["version"] == version
        assert client.get("/jobs", params={"status": "queued"}).json()["jobs"] == []

        assert client.delete(f"/avatars/{avatar_id}").status_code == 204
        assert client.get("/avatars").json()["avatars"] == []
        wait_for(lambda: not (tmp_path / "avatars" / ".retired" / avatar_id).exists(), 90)
        for folder in ("avatars", "pipeline"):
            left = (tmp_path / "storage" / folder / avatar_id).rglob("*")
            assert [one for one in left if one.is_file()] == []
