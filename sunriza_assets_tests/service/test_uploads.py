"""Uploads: read as a stream, kept private, deleted with the request."""

import hashlib
import os
import time

import pytest
from fastapi import APIRouter, Request

from sunriza_assets.service import uploads
from sunriza_assets.service.uploads import UploadRules, uploaded
from sunriza_assets.service.uploads_folder import sweep_uploads
from sunriza_assets_tests.service.serving import make_service, serving

router = APIRouter()
MULTIPART = {"requestBody": {"content": {"multipart/form-data": {"schema": {"type": "object"}}}}}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@router.post("/inspect", openapi_extra=MULTIPART)
async def take(request: Request) -> dict[str, object]:
    async with uploaded(request, UploadRules(files=("source_image",))) as form:
        file = form.file("source_image")
        assert file is not None
        stat = file.path.stat()
        return {
            "folder": str(file.path.parent),
            "name": file.path.name,
            "mode": stat.st_mode & 0o777,
            "folder_mode": file.path.parent.stat().st_mode & 0o777,
            "same": file.path.read_bytes() == PNG,
            "size": file.size,
            "sha256": file.sha256,
            "kind": file.kind.name,
            "fields": dict(form.fields),
        }


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serving(make_service(tmp_path_factory.mktemp("home")), router) as served:
        yield served


@pytest.fixture(scope="module")
def client(served):
    with served.client() as client:
        yield client


def test_a_file_arrives_whole_and_leaves_with_the_request(served, client):
    answer = client.post(
        "/inspect",
        files={"source_image": ("../../etc/passwd\r\nX: y.jpg", PNG, "text/html")},
        data={"emotion": ["happy", "sad"], "text": "Grüße 👋"},
    )
    got = answer.json()
    assert answer.status_code == 200, got
    assert got["folder"] == str(served.service.uploads_folder)
    assert "passwd" not in got["name"]
    assert got["mode"] == 0o600 and got["folder_mode"] == 0o700
    assert got["same"] and got["size"] == len(PNG)
    assert got["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert got["kind"] == "png"
    assert got["fields"] == {"emotion": ["happy", "sad"], "text": ["Grüße 👋"]}
    assert list(served.service.uploads_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "data", "status", "code"),
    [
        ({"source_image": b""}, {}, 422, "media.empty"),
        ({"other": PNG}, {}, 400, "request.form"),
        ([("source_image", PNG)] * 4, {}, 400, "request.form"),
        ([("source_image", PNG)] * 2, {}, 422, "request.invalid"),
        ({"source_image": PNG}, {"text": "x" * 65537}, 400, "request.form"),
        ({"source_image": PNG}, {f"f{n}": "" for n in range(21)}, 400, "request.form"),
        ({"source_image": PNG}, {"text": "a\0b"}, 400, "request.form"),
    ],
)
def test_forms_that_are_refused_leave_nothing(served, client, files, data, status, code):
    named = files.items() if isinstance(files, dict) else files
    answer = client.post(
        "/inspect", files=[(name, ("f", content)) for name, content in named], data=data
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(served.service.uploads_folder.iterdir()) == []


def test_no_upload_when_the_disk_is_nearly_full(served, client, monkeypatch):
    monkeypatch.setattr(uploads, "FREE_BYTES", 1 << 60)
    answer = client.post("/inspect", files={"source_image": PNG})
    assert (answer.status_code, answer.json()["code"]) == (507, "store.full")


def test_old_files_are_swept(tmp_path):
    for name, age in (("old.upload", 7200), ("new.upload", 60)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    assert sweep_uploads(tmp_path) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["new.upload"]
