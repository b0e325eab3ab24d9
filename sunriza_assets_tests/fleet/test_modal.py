"""GPU steps on Modal: the deployed class answers, and the assets do not notice that it does."""

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import modal
import pytest

from resources.engines import remote as remote_engine
from resources.home import Home
from resources.services import Stores
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.platform.instance import opened_instance
from sunriza_assets.runs.avatar_runs import AvatarRuns
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.fleet import modal_container
from sunriza_assets_tests.fleet.conftest import SMALL
from sunriza_assets_tests.servers.firestore.server import FirestoreServer
from sunriza_assets_tests.servers.storage.server import StorageServer


def settings_of(name: str) -> dict[str, Any]:
    """What the decorator of a class or function of the app says in plain numbers."""
    tree = ast.parse(modal_container.APP.read_text())
    (found,) = (
        one
        for one in tree.body
        if isinstance(one, ast.ClassDef | ast.FunctionDef) and one.name == name
    )
    (decorator,) = found.decorator_list
    assert isinstance(decorator, ast.Call)
    return {
        str(word.arg): word.value.value
        for word in decorator.keywords
        if isinstance(word.value, ast.Constant)
    }


def test_the_app_says_gpu_cold_start_scale_to_zero_and_timeouts() -> None:
    app = modal_container.loaded_app()
    assert app.GPU == "T4"
    assert isinstance(app.Steps, modal.Cls)
    assert isinstance(app.pull_models, modal.Function)
    said = settings_of("Steps")
    assert said["min_containers"] == 0
    assert 0 < said["scaledown_window"] < said["timeout"]
    assert said["retries"] == 0, "a step is retried by whoever asked for it"
    assert settings_of("pull_models")["timeout"] > said["timeout"]


def test_an_answer_of_the_container_is_json(models_root: Path, tmp_path: Path) -> None:
    answer = modal_container.call({"do": "nothing", "engine": "mesh"})
    assert answer["error"]["class"] == "EngineError"


@pytest.fixture
def shared_stores(
    tmp_path: Path, models_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Stores that a process elsewhere sees, as Modal must."""
    for name in [name for name in os.environ if name.startswith("SUNRIZA_")]:
        monkeypatch.delenv(name)
    with FirestoreServer() as documents, StorageServer() as objects:
        objects.create_bucket("media")
        settings = {
            "SUNRIZA_HOME": str(tmp_path),
            "SUNRIZA_MODELS": str(models_root),
            "DAGSTER_HOME": str(tmp_path / "dagster"),
            "SUNRIZA_STORE": "firebase",
            "SUNRIZA_FIREBASE_PROJECT": "sunriza-test",
            "SUNRIZA_FIREBASE_BUCKET": "media",
            "FIRESTORE_EMULATOR_HOST": documents.host,
            "STORAGE_EMULATOR_HOST": objects.url,
            "SUNRIZA_MODAL_APP": "sunriza-assets",
            "OMP_NUM_THREADS": "1",
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("shared_stores")
def test_an_avatar_is_made_by_the_same_assets_with_the_gpu_elsewhere(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def call(request: dict[str, Any]) -> Any:
        asked.append(request["do"])
        files = [value for key, value in request.items() if key in ("clip", "portrait", "template")]
        assert all(name.startswith("remote/") for name in files), "names go in, not files"
        return modal_container.call(request)

    monkeypatch.setattr(remote_engine, "modal_call", lambda _app: call)
    remote_engine.choose_remote.cache_clear()
    add_avatar("ada", sample.portrait, sample.clip, parameters=dict(SMALL))
    with opened_instance(Home.from_environment()) as instance:
        result = AvatarRuns(instance).render("ada")
    remote_engine.choose_remote.cache_clear()

    assert result["error"] is None
    stores = Stores()
    assert stores.avatars.get("ada").status == "ready"
    assert set(asked) == {"identity", "extract", "render", "visemes"}
    assert asked.count("extract") == asked.count("render") == asked.count("visemes") == 1
    told = result["assets"]["idle_video"]["metadata"]
    assert told["engine_reason"] == "runs on Modal, sunriza-assets"
    assert not list(stores.storage.list("remote/")), "nothing of a call stays in the bucket"
