"""Bodies that are too large, of the wrong kind, or read differently by different parsers.

Case 33 declared too large, 34 too large in chunks, 35 length and chunks at once, 36 wrong length,
37 many fields and files, 38 missing or huge boundary, 39 JSON that parsers read differently,
40 wrong content type, 41 files that are not what they say (decoding them is the engine's), 42 file
names, 43 long and odd texts.
"""

import json
import socket

import pytest
from fastapi import APIRouter, Request
from pydantic import BaseModel

from sunriza_assets.service.uploads import UploadRules, uploaded
from sunriza_assets_tests.service.serving import make_service, serving

router = APIRouter()
MULTIPART = {"requestBody": {"content": {"multipart/form-data": {"schema": {"type": "object"}}}}}
MB = 1 << 20
HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\n"
FORM = b"Content-Type: multipart/form-data; boundary=b\r\n"


class Thing(BaseModel):
    avatar_id: str = ""
    parameters: dict[str, object] = {}


@router.post("/things")
async def add(thing: Thing) -> dict[str, object]:
    return {"avatar_id": thing.avatar_id}


@router.post("/upload", openapi_extra=MULTIPART)
async def upload(request: Request) -> dict[str, object]:
    async with uploaded(request, UploadRules(files=("source_image", "clip"))) as form:
        return {
            "files": {name: files[0].kind.name for name, files in form.files.items()},
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


@pytest.fixture(autouse=True)
def nothing_is_left(served):
    yield
    assert list(served.service.uploads_folder.iterdir()) == []


def code_of(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    return status, json.loads(body)["code"] if b"problem+json" in head else ""


def test_a_body_declared_too_large_is_refused_before_it_is_read(served):
    for path, kind, size in (
        (b"/upload", FORM, 53 * MB),
        (b"/things", b"Content-Type: application/json\r\n", MB),
    ):
        request = HEAD % path + kind + b"Content-Length: %d\r\n\r\n" % size
        assert code_of(served.raw(request, wait_s=2)) == (413, "request.too_large")


def test_a_file_of_51_mb_within_the_request_is_refused(client):
    answer = client.post("/upload", files={"clip": ("c.mp4", bytes(51 * MB))})
    assert (answer.status_code, answer.json()["code"]) == (413, "media.too_large")


def test_a_chunked_body_is_counted_while_it_is_read(served):
    chunk = b"%x\r\n" % MB + bytes(MB) + b"\r\n"
    start = b"--b\r\nContent-Disposition: form-data; name=clip; filename=c\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.settimeout(20)
        connection.sendall(HEAD % b"/upload" + FORM + b"Transfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"%x\r\n" % len(start) + start + b"\r\n")
        for _ in range(51):
            connection.sendall(chunk)
        assert code_of(connection.recv(65536)) == (413, "media.too_large")
    small = (
        HEAD % b"/things" + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    assert code_of(served.raw(small + chunk, wait_s=2)) == (413, "request.too_large")


def test_length_and_chunks_at_once_are_refused(served):
    for encoding in (b"chunked", b"identity, chunked", b"xchunked"):
        request = (
            HEAD % b"/things"
            + b"Content-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: "
            + encoding
            + b"\r\n\r\n0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        answer = served.raw(request, wait_s=1)
        assert answer.split(b" ")[1] == b"400"
        assert answer.count(b"HTTP/1.1") == 1  # nothing was smuggled in


@pytest.mark.parametrize("length", [b"-1", b"abc", b"1 1", b"0x10", b"9" * 40, b"+5", b"5, 6"])
def test_a_wrong_length_is_refused(served, length):
    request = (
        HEAD % b"/things"
        + b"Content-Type: application/json\r\nContent-Length: "
        + length
        + b"\r\n\r\n{}"
    )
    status, _ = code_of(served.raw(request, wait_s=1))
    assert status in (400, 413)


def test_two_lengths_are_refused(served):
    request = HEAD % b"/things" + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"
    assert code_of(served.raw(request, wait_s=1))[0] == 400


def test_a_body_shorter_than_its_length_is_not_taken(served):
    part = b"--b\r\nContent-Disposition: form-data; name=clip; filename=c\r\n\r\nabc"
    request = HEAD % b"/upload" + FORM + b"Content-Length: 500\r\n\r\n" + part
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(20)
        assert b"200" not in connection.recv(65536)[:20]


def test_many_fields_and_many_files_are_refused(served):
    field = b"--b\r\nContent-Disposition: form-data; name=f%d\r\n\r\n\r\n"
    file = b"--b\r\nContent-Disposition: form-data; name=clip; filename=f\r\n\r\nx\r\n"
    for body in (b"".join(field % n for n in range(100_000)), file * 10_000):
        request = HEAD % b"/upload" + FORM + b"Content-Length: %d\r\n\r\n" % (len(body) + 5)
        answer = served.raw(request + body + b"--b--", wait_s=5)
        assert not answer or code_of(answer) == (400, "request.form")


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        f"multipart/form-data; boundary={'b' * 10_000}",
        'multipart/form-data; boundary="',
    ],
)
def test_missing_and_huge_boundaries_are_refused(client, content_type):
    answer = client.post("/upload", content=b"--b--", headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.form")


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"--b--",
        b"--b\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: attachment; name=clip\r\n\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: form-data; name=\r\n\r\nx\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="a\tb"\r\n\r\nx\r\n--b--',
        b"--b\r\nContent-Disposition: form-data; name=" + b"n" * 2000 + b"\r\n\r\nx\r\n--b--",
        b"--b\r\n" + b"X-Y: z\r\n" * 50 + b"\r\nx\r\n--b--",
        b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\xfe\r\n--b--",
        b"--c\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--c--",
        b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx",
        b"\0" * 1000,
    ],
)
def test_broken_forms_are_refused(client, part):
    answer = client.post(
        "/upload", content=part, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    if part == b"--b--":  # a form without parts
        assert answer.status_code in (200, 400)
    else:
        assert (answer.status_code, answer.json()["code"]) == (400, "request.form"), answer.text


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b'{"parameters":' + b'{"a":' * 40 + b"1" + b"}" * 41,
        b'{"parameters":{"a":NaN}}',
        b'{"parameters":{"a":Infinity}}',
        b'{"parameters":{"a":-Infinity}}',
        b'{"parameters":{"a":1e999}}',
        b'{"parameters":{"a":-1e999}}',
        b'{"parameters":{"a":' + b"9" * 5000 + b"}}",
        b'{"avatar_id":"a","avatar_id":"b"}',
        b'{"parameters":{"a":1,"\\u0061":2}}',
        '{"avatar_id":"a"}'.encode("utf-16"),
        '{"avatar_id":"a"}'.encode("utf-16-le"),
        '{"avatar_id":"a"}'.encode("utf-32"),
        b'\xef\xbb\xbf{"avatar_id":"a"}',
        b'{"avatar_id":"\\ud800"}',
        b'{"avatar_id":"\\udc00\\ud800"}',
        b'{"avatar_id":"\xed\xa0\x80"}',
        b'{"avatar_id":"\xff"}',
        b'{"avatar_id":"a\\u0000b"}',
        b'{"avatar_id":"a\0b"}',
        b"{'avatar_id':'a'}",
        b'{"avatar_id":"a"} {}',
        b"{",
        b"\0",
    ],
)
def test_json_that_parsers_read_differently_is_refused(client, text):
    answer = client.post("/things", content=text, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.json"), answer.text


@pytest.mark.parametrize(
    "text",
    [
        b'{"avatar_id":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\"{{{{{{{"}',
        b'{"avatar_id":"\\ud83d\\ude00 \\\\u0000 gr\\u00fc\\u00df"}',
        b'{"parameters":' + b"[" * 31 + b"]" * 31 + b"}",
    ],
)
def test_unusual_json_is_taken(client, text):
    answer = client.post("/things", content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 422) and "request.json" not in answer.text


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/things", "text/plain"),
        ("/things", "application/x-www-form-urlencoded"),
        ("/things", "multipart/form-data; boundary=b"),
        ("/things", "application/jsonx"),
        ("/things", None),
        ("/upload", "application/json"),
        ("/upload", "multipart/mixed; boundary=b"),
        ("/upload", "application/x-www-form-urlencoded"),
    ],
)
def test_wrong_content_types_are_refused(client, path, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    answer = client.post(path, content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "request.type")


def test_compressed_bodies_are_refused(client):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert client.post("/things", content=b"\x1f\x8b", headers=headers).status_code == 415


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "SVG drawing"),
        (b"\0\0\0\x18ftypmp42" + bytes(40), "mp4"),
        (b"GIF89a<script>alert(1)</script>", "GIF animation"),
        (b"<html><script>", "web page"),
        (b"PK\x03\x04" + bytes(20), "zip archive"),
    ],
)
def test_the_content_says_what_a_file_is(client, content, kind):
    answer = client.post("/upload", files={"source_image": ("a.jpg", content, "image/jpeg")})
    assert answer.json()["files"] == {"source_image": kind}


def test_an_empty_file_is_refused(client):
    answer = client.post("/upload", files={"source_image": ("a.jpg", b"", "image/jpeg")})
    assert (answer.status_code, answer.json()["code"]) == (422, "media.empty")


@pytest.mark.parametrize(
    "name", ["../../x", "..\\..\\x", "/etc/passwd", "a\r\nX-Y: z", "\0", "CON", "a" * 300, "ä☃"]
)
def test_a_clients_file_name_is_not_looked_at(client, name):
    part = b'--b\r\nContent-Disposition: form-data; name=clip; filename="%s"\r\n\r\nx\r\n--b--\r\n'
    answer = client.post(
        "/upload",
        content=part % name.encode(),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
    )
    assert answer.status_code in (200, 400)
    assert "etc" not in answer.text and "Traceback" not in answer.text


def test_a_text_of_a_million_characters_is_refused(client):
    answer = client.post("/things", json={"avatar_id": "x" * 1_000_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "request.too_large")
    answer = client.post("/upload", files={"clip": b"x"}, data={"text": "x" * 1_000_000})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.form")


def test_texts_of_emoji_and_markup_come_back_as_they_are(client):
    for text in ("👩‍👩‍👧‍👦🏳️‍🌈" * 50, "<speak><break time='10s'/></speak>", "a\nb\r\nc\u2028d"):
        assert client.post("/things", json={"avatar_id": text}).json() == {"avatar_id": text}
