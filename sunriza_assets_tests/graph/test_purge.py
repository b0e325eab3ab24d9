"""A deleted avatar is gone, whoever deletes it, and whatever happens meanwhile."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import grpc
import pytest
from click.testing import CliRunner

from resources.avatars.firestore import FirestoreAvatars
from resources.avatars.local import LocalAvatars
from resources.engines.template_cache import TemplateCache
from resources.engines.template_users import TemplateUsers
from resources.home import Home
from resources.services import Stores, Templates
from resources.storage.firebase import FirebaseStorage
from sunriza_assets.cli import sunriza
from sunriza_assets.cli.avatar import add_avatar
from sunriza_assets.errors import AvatarError, StoreError
from sunriza_assets.graph import sensors
from sunriza_assets.graph.partitions import AVATARS
from sunriza_assets.graph.sensors import deleted_avatars
from sunriza_assets.operations.purge import purge
from sunriza_assets.platform.instance import opened_instance
from sunriza_assets.runs.avatar_runs import AvatarRuns
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.graph.conftest import SHORT, Installation
from sunriza_assets_tests.resources.avatars.avatar_store_contract import publication
from sunriza_assets_tests.resources.avatars.firestore_fixtures import (
    avatars,
    firestore_client,
    firestore_server,
    own_server,
)
from sunriza_assets_tests.resources.storage.storage_fixtures import (
    own_bucket_server,
    storage,
    storage_server,
)
from sunriza_assets_tests.servers.firestore.server import FirestoreServer
from sunriza_assets_tests.servers.storage.server import StorageServer

__all__ = [
    "avatars",
    "firestore_client",
    "firestore_server",
    "own_bucket_server",
    "own_server",
    "storage",
    "storage_server",
]


@pytest.mark.slow
def test_a_deleted_avatar_leaves_nothing_for_whoever_takes_its_id(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "DELETION_GRACE", timedelta(0))
    stores, templates, sample = Stores(), Templates(), installation.sample
    # Of a length of their own, so that no other test's avatar uses the same template.
    own = {**SHORT, "max_seconds": 1.04, "loop": False}
    for avatar_id in ("gone", "gone2"):
        add_avatar(avatar_id, sample.portrait, sample.clip)
        stores.avatars.merge(avatar_id, {"userId": "alice"})
        assert installation.runs.render(avatar_id, parameters=own)["error"] is None
    (key,) = templates.users.keys_of("gone")
    assert templates.users.keys_of("gone2") == [key]
    former = {one.name for one in stores.storage.list("") if "/gone/" in one.name}
    others = {one.name for one in stores.storage.list("") if "/gone/" not in one.name}
    assert len(former) > 30

    (installation.home.avatars / "gone.json").unlink()
    with pytest.raises(AvatarError):
        stores.avatars.merge("gone", {"userId": "bob"})
    resources = {"stores": stores, "templates": templates}
    context = dg.build_sensor_context(instance=installation.instance, resources=resources)
    deleted_avatars(context)
    left = {one.name for one in stores.storage.list("")}
    assert left & former == set()
    assert left == {name for name in others if not name.endswith(f"{key}/gone")}
    assert not installation.instance.has_dynamic_partition(AVATARS.name or "", "gone")
    assert templates.cache.get(key) is not None, "gone2 uses it"

    stores.avatars.merge("gone", {"userId": "bob"})
    add_avatar("gone", sample.portrait, sample.clip)
    result = installation.runs.render("gone", only=["idle_video"])
    assert result["status"] == "error", "there is no template of the former owner's to work with"
    assert "idleVideoUrl" not in stores.avatars.get("gone").basic
    for avatar_id in ("gone", "gone2"):
        told = CliRunner().invoke(sunriza, ["avatar", "remove", avatar_id, "--yes"])
        assert told.exit_code == 0, told.output
        assert f"{avatar_id}: removed" in told.output
    assert not templates.cache.file(key).exists()
    assert not [name for one in stores.storage.list("") if "/gone" in (name := one.name)]


@pytest.mark.parametrize("only", [[], ["hero_image"]])
def test_a_run_beside_the_record_of_another_owner_ends_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: Sample, only: list[str]
) -> None:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.delenv("SUNRIZA_STORE", raising=False)
    stores = Stores()
    add_avatar("ada", sample.portrait, sample.clip)
    stores.avatars.merge("ada", {"userId": "alice"})
    stores.avatars.claim("ada", "run-1")
    stores.avatars.publish("ada", "run-1", **publication(1))
    path = tmp_path / "avatars" / "ada.json"
    taken = json.loads(path.read_text()) | {"userId": "bob", "dynamics": {}}
    path.unlink()
    path.write_text(json.dumps(taken))
    before = [one.name for one in stores.storage.list("")]
    with opened_instance(Home.from_environment()) as opened:
        result = AvatarRuns(opened).render("ada", only=only)
    assert result["error"]["code"] == "avatar.owner"
    told = dict(stores.avatars.get("ada").basic)
    assert told.pop("error")["code"] == "avatar.owner"
    assert told.keys() == {"status", "updatedAt"}
    assert [one.name for one in stores.storage.list("")] == before
    assert stores.avatars.get("ada").record.user_id == "alice"


@pytest.mark.slow
def test_a_purge_killed_at_any_line_is_gone_on_with(tmp_path: Path) -> None:
    environment = {name: said for name, said in os.environ.items() if "SUNRIZA_" not in name}
    environment.pop("DAGSTER_HOME", None)
    module = "sunriza_assets_tests.graph.killed_purges"
    told = subprocess.run(
        [sys.executable, "-m", module, str(tmp_path), "24"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert int(told.stdout) >= 22, told.stderr


class _Firebase:
    """The stores of an installation on Firebase, and its templates."""

    def __init__(self, avatars: FirestoreAvatars, storage: FirebaseStorage, folder: Path) -> None:
        self.avatars, self.storage = avatars, storage
        self.cache = TemplateCache(folder, storage)
        self.users = TemplateUsers(storage)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.mark.parametrize("method", ["DELETE", "GET", "Commit", "BatchGetDocuments"])
def test_a_purge_that_a_server_cuts_short_is_gone_on_with(
    avatars: FirestoreAvatars,
    storage: FirebaseStorage,
    own_server: FirestoreServer,
    own_bucket_server: StorageServer,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
) -> None:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    stores = _Firebase(avatars, storage, tmp_path / "templates")
    file = tmp_path / "file"
    file.write_bytes(b"x")
    cut = 0
    while cut < 40:
        instance.add_dynamic_partitions(AVATARS.name or "", ["ada"])
        avatars.merge("ada", {"userId": "alice"})
        avatars.claim("ada", f"run-{cut}")
        for name in ("avatars/ada/images/a.jpg", "avatars/ada2/a.jpg", "pipeline/ada/mask/x"):
            storage.put(file, name)
        stores.users.add("key", "ada")
        if method in ("DELETE", "GET"):
            own_bucket_server.fail(method, status=403, skip=cut)
        else:
            own_server.fail(method, status=grpc.StatusCode.PERMISSION_DENIED, skip=cut)
        try:
            purge(instance, stores, stores, "ada", remove=True)
            break
        except StoreError:
            cut += 1
        finally:
            own_bucket_server.heal()
            own_server.heal()
        if avatars.retired(9):
            with pytest.raises(AvatarError):
                avatars.merge("ada", {"userId": "eve"})
        # The sensor finds it by its mark; where it was not even marked, the avatar is still there.
        again = purge(instance, stores, stores, "ada")
        assert (again is None) == (avatars.present(["ada"]) == {"ada"})
        if again is not None:
            assert avatars.retired(9) == []
            assert [one.name for one in storage.list("")] == ["avatars/ada2/a.jpg"]
            assert not instance.has_dynamic_partition(AVATARS.name or "", "ada")
    assert cut >= 2


def test_nothing_is_purged_while_a_run_is_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.delenv("SUNRIZA_STORE", raising=False)
    stores, templates = Stores(), Templates()
    stores.avatars.merge("ada", {"userId": "alice"})
    file = tmp_path / "file"
    file.write_bytes(b"x")
    stores.storage.put(file, "pipeline/ada/mask/x")
    run = instance.create_run_for_job(
        _job(), status=dg.DagsterRunStatus.STARTED, tags={"dagster/partition": "ada"}
    )
    purged = purge(instance, stores, templates, "ada", remove=True)
    assert purged
    assert not purged.is_complete
    assert stores.storage.stat("pipeline/ada/mask/x")
    assert stores.avatars.present(["ada"]) == set()
    instance.delete_run(run.run_id)
    purged = purge(instance, stores, templates, "ada")
    assert purged
    assert (purged.is_complete, purged.objects) == (True, 1)
    assert purge(instance, stores, templates, "ada"), "and once more, which changes nothing"


def test_an_avatar_that_exists_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.delenv("SUNRIZA_STORE", raising=False)
    document = Stores().avatars.merge("ada", {"userId": "alice"})
    assert purge(instance, Stores(), Templates(), "ada") is None
    assert Stores().avatars.get("ada") == document


def test_the_command_asks_and_names_what_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.delenv("SUNRIZA_STORE", raising=False)
    home = Home.from_environment()
    LocalAvatars(home).merge("ada", {"userId": "alice"})
    with opened_instance(home) as opened:
        opened.add_dynamic_partitions(AVATARS.name or "", ["bob"])

    def told(*arguments: str, said: str = "") -> Any:
        return CliRunner().invoke(sunriza, ["avatar", "remove", *arguments], input=said)

    assert told("ada", said="n\n").exit_code != 0
    assert LocalAvatars(home).present(["ada"]) == {"ada"}
    missing = told("ada", "eve", "--yes")
    assert isinstance(missing.exception, AvatarError)
    assert missing.exception.code == "avatar.missing"
    facts = json.loads(told("ada", "bob", "--json").stdout)["avatars"]
    assert {name: one["state"] for name, one in facts.items()} == {
        "ada": "removed",
        "bob": "removed",
    }
    assert LocalAvatars(home).present(["ada"]) == set()


def test_what_former_versions_left_of_deleted_avatars_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They took the partition away and nothing else."""
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    monkeypatch.delenv("SUNRIZA_STORE", raising=False)
    stores, file = Stores(), tmp_path / "file"
    file.write_bytes(b"x")
    for avatar_id in ("ada", "bob", "eve"):
        stores.avatars.merge(avatar_id, {"userId": "alice"})
        stores.avatars.claim(avatar_id, "run")
        stores.storage.put(file, f"avatars/{avatar_id}/images/a.jpg")
        stores.storage.put(file, f"pipeline/{avatar_id}/mask/x")
    for avatar_id in ("ada", "bob"):
        (tmp_path / "avatars" / f"{avatar_id}.json").unlink()
    one = CliRunner().invoke(sunriza, ["avatar", "remove", "bob", "--yes"])
    assert "bob: removed, 2 objects" in one.output
    all_of_them = CliRunner().invoke(sunriza, ["avatar", "remove", "--orphans", "--yes"])
    assert all_of_them.output == "ada: removed, 2 objects and 0 motion templates\n"
    again = CliRunner().invoke(sunriza, ["avatar", "remove", "--orphans", "--yes"])
    assert again.output == "nothing to remove\n"
    assert {one.name for one in stores.storage.list("")} == {
        "avatars/eve/images/a.jpg",
        "pipeline/eve/mask/x",
    }
    stores.avatars.merge("ada", {"userId": "bob"})
    assert CliRunner().invoke(sunriza, ["avatar", "remove", "--yes"]).exit_code != 0


def _job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None:
        """Some step."""

    @dg.job
    def anything() -> None:
        nothing()

    return anything
