"""A document that names somebody else's files is served by no run, however the run is started."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import dagster as dg
import pytest
from click.testing import CliRunner

from resources.home import Home
from resources.services import Stores
from resources.storage.firebase import FirebaseStorage
from sunriza_assets.cli import sunriza
from sunriza_assets.graph.sensors import avatar_changes
from sunriza_assets.platform.instance import opened_instance
from sunriza_assets.runs.avatar_runs import AvatarRuns
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.servers.firestore.server import FirestoreServer
from sunriza_assets_tests.servers.storage.server import StorageServer

BUCKET: Final = "demo.firebasestorage.app"
PORTRAIT: Final = "avatars/victim/images/portrait.jpg"
FORMS: Final = ("name", "gs", "google", "no_token", "wrong_token", "moments", "pipeline")
WAYS: Final = ("sensor", "render", "backfill")


@pytest.fixture
def firebase(
    tmp_path: Path, models_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FirebaseStorage]:
    """An installation on Firebase, with the tests' own servers; its bucket."""
    for name in [name for name in os.environ if name.startswith("SUNRIZA_")]:
        monkeypatch.delenv(name)
    with FirestoreServer() as documents, StorageServer() as objects:
        objects.create_bucket(BUCKET)
        settings = {
            "SUNRIZA_HOME": str(tmp_path),
            "SUNRIZA_MODELS": str(models_root),
            "DAGSTER_HOME": str(tmp_path / "dagster"),
            "SUNRIZA_STORE": "firebase",
            "SUNRIZA_FIREBASE_PROJECT": "demo",
            # An operator may trust Google's hosts with other buckets.
            "SUNRIZA_ALLOWED_HOSTS": "firebasestorage.googleapis.com,storage.googleapis.com",
            "FIRESTORE_EMULATOR_HOST": documents.host,
            "STORAGE_EMULATOR_HOST": objects.url,
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        storage = Stores().storage
        assert isinstance(storage, FirebaseStorage)
        yield storage


@pytest.fixture
def addresses(firebase: FirebaseStorage, sample: Sample) -> dict[str, str]:
    """What a thief may know of a victim's files: their names, but no token."""
    url = firebase.put(sample.portrait, PORTRAIT).url
    moments, pipeline = (
        "users/victim/moments/m.jpg",
        "pipeline/victim/hero_image/run/hero_image.jpg",
    )
    for name in (moments, pipeline):
        firebase.put(sample.portrait, name)
    plain = url.partition("&token=")[0]
    return {
        "name": PORTRAIT,
        "gs": f"gs://{BUCKET}/{PORTRAIT}",
        "google": f"https://storage.googleapis.com/{BUCKET}/{quote(PORTRAIT)}",
        "no_token": plain,
        "wrong_token": f"{plain}&token=00000000-0000-4000-8000-000000000000",
        "moments": moments,
        "pipeline": pipeline,
        "token": url,
    }


def sensed(ids: list[str]) -> None:
    """What the sensor asks for, run as the daemon would."""
    with opened_instance(Home.from_environment()) as instance:
        context = dg.build_sensor_context(instance=instance, resources={"stores": Stores()})
        result = avatar_changes(context)
        assert isinstance(result, dg.SensorResult)
        requests = {one.partition_key: one for one in result.run_requests or []}
        assert sorted(requests) == sorted(ids)
        runs = AvatarRuns(instance)
        for avatar_id in ids:
            runs.render(avatar_id, tags=requests[avatar_id].tags)


def rendered(ids: list[str]) -> None:
    assert CliRunner().invoke(sunriza, ["render", *ids, "--json"]).exit_code == 1


def backfilled(ids: list[str]) -> None:
    said = CliRunner().invoke(sunriza, ["backfill", "--avatars", ",".join(ids), "--here", "--json"])
    assert said.exit_code == 1, said.output


START: Final[dict[str, Callable[[list[str]], None]]] = {
    "sensor": sensed,
    "render": rendered,
    "backfill": backfilled,
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_somebody_elses_is_served(
    firebase: FirebaseStorage, addresses: dict[str, str], way: str
) -> None:
    avatars = Stores().avatars
    thieves = {f"thief-{number}": form for number, form in enumerate(FORMS)}
    for avatar_id, form in thieves.items():
        url = addresses[form]
        avatars.merge(
            avatar_id,
            {"userId": "thief", "avatarImageUrl": url, "training": {"heroVideoUrl": url}},
        )
    START[way](list(thieves))
    told = set()
    for avatar_id, form in thieves.items():
        document = avatars.get(avatar_id)
        assert document.status == "error", form
        told.add(json.dumps(document.basic["error"], sort_keys=True))
        for prefix in (f"avatars/{avatar_id}/", f"pipeline/{avatar_id}/"):
            assert list(firebase.list(prefix)) == [], form
    (said,) = told
    assert json.loads(said)["code"] == "store.refused"
    assert "victim" not in said


def test_a_download_url_is_as_good_as_a_gift(
    firebase: FirebaseStorage, addresses: dict[str, str], sample: Sample
) -> None:
    """The app names portraits by download URLs with tokens, its own avatar's and others' alike."""
    avatars = Stores().avatars
    clip = firebase.put(sample.clip, "avatars/ada/videos/clip.mp4")
    training = {"heroVideoUrl": clip.name}
    avatars.merge("ada", {"avatarImageUrl": addresses["token"], "training": training})
    with opened_instance(Home.from_environment()) as instance:
        result = AvatarRuns(instance).render("ada", only=["hero_image", "hero_video"])
        assert result["error"] is None
        tokens = [addresses["token"].rpartition("=")[2], clip.url.rpartition("=")[2]]
        log = str([instance.all_logs(result["run_id"])])
    assert not any(token in log for token in tokens)
    made = {one.name.split("/")[2]: one for one in firebase.list("pipeline/ada/")}
    assert {"hero_image", "hero_video"} <= set(made)
    assert all("token" not in one.url for one in made.values())


@pytest.mark.slow
def test_no_token_is_in_the_event_log_of_a_publication(
    firebase: FirebaseStorage, sample: Sample, tmp_path: Path
) -> None:
    from sunriza_assets.cli.avatar import add_avatar

    add_avatar("ada", sample.portrait, sample.clip)
    with opened_instance(Home.from_environment()) as instance:
        parameters: dict[str, Any] = {
            "max_seconds": 3.0,
            "stitching_retargeting_eyes_width": 256,
        }
        result = AvatarRuns(instance).render("ada", parameters=parameters)
        assert result["error"] is None
        log = str([instance.all_logs(result["run_id"])])
    urls = [url for name, url in Stores().avatars.get("ada").basic.items() if name.endswith("Url")]
    tokens = [url.rpartition("token=")[2] for url in urls]
    assert len(tokens) >= 5
    assert all(tokens)
    assert [token for token in tokens if token in log] == []
    assert "token=" not in log
    for stored in firebase.list(""):
        assert ("token=" in stored.url) == stored.name.startswith("avatars/"), stored.name
