"""Making and changing avatars over HTTP: forms, checks, jobs, what is stored."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from sunriza_assets.errors import FaceError
from sunriza_assets_tests.service.serving import StillEngine
from sunriza_assets_tests.service.studio.world import World, studio_world

CLIP = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"a talking clip"


@dataclass
class LookingEngine(StillEngine):
    """An engine process that finds a face in every portrait but black ones."""

    folder: Path = Path()
    trims: list[tuple[float, float]] = field(default_factory=list)

    async def inspect(
        self, portrait: Path | None, clip: Path | None, parameters: Mapping[str, Any],
        *, owner: str | None = None,
    ) -> Sequence[Mapping[str, Any]]:  # fmt: skip
        del clip, parameters, owner
        if portrait is None or Image.open(portrait).convert("L").getextrema()[1] > 100:
            return []
        dark = Image.open(portrait).convert("L").getextrema()[1] == 0
        return [
            {
                "subject": "portrait", "code": "face.none" if dark else "dark",
                "severity": "refuse" if dark else "advise", "sentence": "It is dark.",
                "value": 1.0, "bound": 80.0,
            }
        ]  # fmt: skip

    async def trim(
        self, clip: Path, start_s: float, end_s: float, destination: Path,
        *, owner: str | None = None,
    ) -> int:  # fmt: skip
        del owner
        self.trims.append((start_s, end_s))
        destination.write_bytes(clip.read_bytes() + b" cut")
        return 25

    async def preview(
        self, portrait: Path, parameters: Mapping[str, Any], *, size: int = 256,
        owner: str | None = None,
    ) -> Path:  # fmt: skip
        del owner
        if parameters["emotion"] == "sad":
            raise FaceError("There is no face", code="none")
        path = self.folder / "still.jpg"
        picture = Image.open(portrait)
        picture.thumbnail((size, size))
        picture.save(path)
        return path


def portrait(grey: int = 200, size: tuple[int, int] = (400, 300)) -> bytes:
    """A JPEG of one grey."""
    out = io.BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with studio_world(tmp_path, SUNRIZA_UNFINISHED_JOBS="20") as world:
        world.service.engine = LookingEngine(folder=world.folder)
        yield world


@pytest.fixture(scope="module")
def quiet_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One in which no avatar is ever made."""
    with studio_world(tmp_path_factory.mktemp("quiet")) as world:
        world.service.engine = LookingEngine(folder=world.folder)
        yield world


def made(client: httpx.Client, clip: bytes | None = None, **fields: str) -> httpx.Response:
    files = {"portrait": ("x.png", portrait(), "text/html")}
    if clip is not None:
        files["clip"] = ("../../x", clip, "image/png")
    return client.post("/avatars", files=files, data=fields)


def test_a_portrait_and_a_clip_become_an_avatar_with_a_job(world: World) -> None:
    client = world.client("u")
    answer = made(client, CLIP, name="Anna", trim_start="0.5", trim_end="3")
    assert answer.status_code == 201
    shown = answer.json()
    avatar_id = shown["avatar"]["id"]
    assert answer.headers["location"] == f"/avatars/{avatar_id}"
    assert (shown["avatar"]["name"], shown["avatar"]["state"]) == ("Anna", "waiting")
    assert shown["avatar"]["job_id"] == shown["job"]["job_id"]
    order = world.service.orders.get(shown["job"]["job_id"])
    assert order is not None
    assert (order.kind, order.owner, order.avatar_id) == ("dynamics", "u", avatar_id)
    document = world.avatars.get(avatar_id)
    assert document.user_id == "u"
    assert order.inputs_version == document.inputs_version
    assert world.service.engine.trims == [(0.5, 3.0)]
    assert document.hero_image_url.endswith(".jpg")
    assert document.hero_video_url.endswith(".mp4")
    assert client.get(shown["avatar"]["inputs"]["portrait_url"]).content == portrait()
    assert client.get(shown["avatar"]["inputs"]["clip_url"]).content == CLIP + b" cut"
    assert list(world.service.uploads_folder.iterdir()) == []


def test_a_performance_moves_a_portrait_without_a_clip(world: World) -> None:
    client = world.client("u")
    shown = made(client, performance="cheerful", parameters='{"lips": "still"}').json()["avatar"]
    assert shown["inputs"] | {"portrait_url": 0} == {
        "portrait_url": 0, "clip_url": None, "performance": "cheerful",
    }  # fmt: skip
    assert shown["parameters"] == {"lips": "still"}
    assert shown["effective_parameters"]["emotion"] == "happy"
    assert made(client).json()["avatar"]["inputs"]["performance"] == "calm"


def test_without_a_run_it_waits_for_one(world: World) -> None:
    client = world.client("u")
    shown = made(client, render="false").json()
    assert shown["job"] is None
    document = world.avatars.get(shown["avatar"]["id"])
    assert not document.needs_run
    assert world.service.orders.unfinished() == []
    answer = client.post("/generate-dynamics", json={"avatar_id": document.avatar_id})
    assert answer.status_code == 200
    assert world.avatars.get(document.avatar_id).needs_run


def test_what_cannot_work_is_refused_before_anything_is_stored(world: World) -> None:
    client = world.client("u")
    dark = {"portrait": ("x.jpg", portrait(0))}
    answer = client.post("/avatars", files=dark, data={"id": "dark"})
    assert (answer.status_code, answer.json()["code"]) == (422, "media.none")
    assert "It is dark." in answer.json()["detail"]
    assert world.avatars.present(["dark"]) == set()
    assert list(world.service.stores.storage.list("avatars/")) == []
    assert client.post("/avatars", files=dark, data={"check": "false"}).status_code == 201
    dim = {"portrait": ("x.jpg", portrait(60))}
    [finding] = client.post("/avatars", files=dim).json()["findings"]
    assert (finding["code"], finding["severity"]) == ("dark", "advise")


@pytest.mark.parametrize(
    ("files", "fields", "status"),
    [
        ({}, {"name": "x"}, 400),
        ({"portrait": CLIP}, {}, 422),
        ({"portrait": portrait(), "clip": portrait()}, {}, 422),
        ({"portrait": b"<svg/>"}, {}, 422),
        ({"portrait": portrait(), "other": portrait()}, {}, 400),
        ({"portrait": portrait(), "clip": CLIP}, {"performance": "calm"}, 400),
        ({"portrait": portrait()}, {"performance": "wild"}, 400),
        ({"portrait": portrait()}, {"trim_end": "3"}, 400),
        ({"portrait": portrait(), "clip": CLIP}, {"trim_start": "3", "trim_end": "2"}, 400),
        ({"portrait": portrait(), "clip": CLIP}, {"trim_end": "NaN"}, 400),
        ({"portrait": portrait(), "clip": CLIP}, {"trim_end": "60"}, 400),
        ({"portrait": portrait()}, {"parameters": "[1]"}, 400),
        ({"portrait": portrait()}, {"parameters": '{"lips": "open"}'}, 400),
        ({"portrait": portrait()}, {"parametres": "{}"}, 400),
        ({"portrait": portrait()}, {"render": "maybe"}, 400),
        ({"portrait": portrait()}, {"name": "a\tb"}, 400),
        ({"portrait": portrait()}, {"name": "x" * 300}, 400),
        ({"portrait": portrait()}, {"id": "../x"}, 400),
        ({"portrait": portrait(0)}, {"id": "../x"}, 400),
        ({"portrait": portrait()}, {"id": "ü"}, 400),
    ],
)
def test_wrong_forms_are_refused(
    quiet_world: World, files: dict[str, bytes], fields: dict[str, str], status: int
) -> None:
    sent: Any = {name: (name, content) for name, content in files.items()}
    client = quiet_world.client("u")
    answer = client.post("/avatars", files=sent or {"x": (None, "")}, data=fields)
    assert answer.status_code == status, answer.text
    assert list(quiet_world.avatars.ids()) == []
    assert list(quiet_world.service.uploads_folder.iterdir()) == []


def test_an_id_is_given_once_and_nobody_learns_to_whom(world: World) -> None:
    mine, theirs = world.client("u"), world.client("v")
    assert made(mine, id="anna").status_code == 201
    dark = {"portrait": ("x.jpg", portrait(0))}  # it is not looked at
    answers = [
        made(mine, id="anna"),
        theirs.post("/avatars", files=dark, data={"id": "anna"}),
    ]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert len({answer.json()["detail"] for answer in answers}) == 1
    assert mine.delete("/avatars/anna").status_code == 204
    assert made(theirs, id="anna").json()["code"] == "conflict.exists"


def test_the_same_key_makes_one_avatar(world: World) -> None:
    client = world.client("u")
    client.headers["Idempotency-Key"] = "once"
    answers = [made(client, name="Anna") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.text for answer in answers}) == 1
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert answers[1].headers["location"] == answers[0].headers["location"]
    assert len(list(world.avatars.ids())) == 1
    assert made(client, name="Ben").status_code == 422


def test_a_caller_with_too_many_jobs_makes_no_avatar(tmp_path: Path) -> None:
    with studio_world(tmp_path, SUNRIZA_UNFINISHED_JOBS="1") as world:
        world.service.engine = LookingEngine(folder=world.folder)
        client = world.client("u")
        assert made(client, id="one").status_code == 201
        answer = made(client, id="two")
        assert (answer.status_code, answer.json()["code"]) == (429, "limit.unfinished")
        assert [row["id"] for row in client.get("/avatars").json()["avatars"]] == ["one"]


def test_consent_is_asked_for_and_kept(tmp_path: Path) -> None:
    with studio_world(tmp_path, SUNRIZA_CONSENT="required") as world:
        world.service.engine = LookingEngine(folder=world.folder)
        client = world.client("u")
        answer = made(client)
        assert (answer.status_code, answer.json()["code"]) == (400, "parameter.consent")
        avatar_id = made(client, consent="true").json()["avatar"]["id"]
        declared = world.avatars.get(avatar_id).data["training"]["consent"]
        assert declared["by"] == "u"
        assert len(declared["portraitSha256"]) == 64
        assert (
            client.patch(f"/avatars/{avatar_id}", files={"portrait": ("x", portrait())}).status_code
            == 400
        )


def test_in_open_mode_an_avatar_has_no_owner(tmp_path: Path) -> None:
    with studio_world(tmp_path, open_mode=True) as world:
        world.service.engine = LookingEngine(folder=world.folder)
        avatar_id = made(world.client(None)).json()["avatar"]["id"]
        assert world.avatars.get(avatar_id).user_id is None


class TestChanging:
    def test_name_and_parameters_as_json(self, world: World) -> None:
        world.add("anna", "u")
        world.publish("anna", "run-1")
        client = world.client("u")
        renamed = client.patch("/avatars/anna", json={"name": "Anne"}).json()
        assert (renamed["avatar"]["name"], renamed["job"]) == ("Anne", None)
        answer = client.patch("/avatars/anna", json={"parameters": {"drivingMultiplier": 1.1}})
        shown = answer.json()
        assert shown["avatar"]["state"] == "stale"
        assert shown["avatar"]["parameters"]["drivingMultiplier"] == 1.1
        assert shown["avatar"]["version"], "the published version stays"
        assert shown["job"]["status"] == "queued"
        again = client.patch("/avatars/anna", json={"parameters": {"drivingMultiplier": 1.1}})
        assert again.json()["job"]["job_id"] == shown["job"]["job_id"]

    def test_a_portrait_is_replaced(self, world: World) -> None:
        world.add("anna", "u")
        before = world.avatars.get("anna").hero_image_url
        client = world.client("u")
        answer = client.patch(
            "/avatars/anna", files={"portrait": ("x", portrait())}, data={"render": "false"}
        )
        assert answer.json()["job"] is None
        document = world.avatars.get("anna")
        assert document.hero_image_url != before
        assert document.performance == "calm"
        assert not document.needs_run
        shown = client.patch("/avatars/anna", files={"clip": ("x", CLIP)}).json()
        assert shown["avatar"]["inputs"]["performance"] is None
        assert shown["job"] is None, "rendering by itself is switched off"
        shown = client.patch("/avatars/anna", json={"render": True}).json()
        assert shown["job"]["status"] == "queued"

    @pytest.mark.parametrize(
        "body",
        [
            {"name": ""}, {"name": 5}, {"x": 1}, {"parameters": {"x": 1}}, {"performance": "wild"},
            {"parameters": {"fps": 1000}}, [], "x",
        ],
    )  # fmt: skip
    def test_wrong_changes_are_refused(self, world: World, body: object) -> None:
        world.add("anna", "u")
        before = world.avatars.get("anna").data
        answer = world.client("u").patch("/avatars/anna", json=body)
        assert answer.status_code in (400, 422)
        assert isinstance(answer.json()["detail"], str)
        assert world.avatars.get("anna").data == before


def test_a_look_before_anything_is_stored(world: World) -> None:
    client = world.client("u")
    found = client.post("/inspect", files={"portrait": ("x", portrait(60))}).json()
    assert (found["verdict"], found["findings"][0]["code"]) == ("advise", "dark")
    assert found["files"]["portrait"]["kind"] == "jpeg"
    assert client.post("/inspect", files={"portrait": ("x", portrait(0))}).json()["verdict"] == (
        "refuse"
    )
    assert client.post("/inspect", files={"clip": ("x", CLIP)}).json()["verdict"] == "good"
    assert client.post("/inspect", data={"parameters": "{}"}).status_code in (400, 415)
    assert list(world.avatars.ids()) == []


def test_a_still_of_other_parameters(world: World) -> None:
    client = world.client("u")
    avatar_id = made(client).json()["avatar"]["id"]
    answer = client.post(f"/avatars/{avatar_id}/preview", json={"parameters": {"emotion": "happy"}})
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).size == (256, 192)
    assert client.post(f"/avatars/{avatar_id}/preview").status_code == 200
    assert not (world.folder / "still.jpg").exists()
    sad = {"parameters": {"emotion": "sad"}}
    assert client.post(f"/avatars/{avatar_id}/preview", json=sad).status_code == 422
    for wrong in ({"parameters": {"x": 1}}, {"size": 9000}, {"parameters": {"fps": -1}}):
        assert client.post(f"/avatars/{avatar_id}/preview", json=wrong).status_code in (400, 422)


def test_the_document_of_the_service_knows_these_forms(world: World) -> None:
    paths = json.loads(world.client(None).get("/openapi.json").text)["paths"]
    form = paths["/avatars"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert form["required"] == ["portrait"]
    assert set(form["properties"]) >= {"portrait", "clip", "performance", "name", "trim_end"}
    assert "application/json" in paths["/avatars/{avatar_id}"]["patch"]["requestBody"]["content"]
