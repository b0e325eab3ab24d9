"""The wrapped storage emulator does what Google's documentation says of a bucket."""

from collections.abc import Iterator

import pytest
import urllib3
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from sunriza_assets_tests.servers.storage.server import StorageServer


@pytest.fixture(scope="module")
def server() -> Iterator[StorageServer]:
    with StorageServer() as running:
        running.create_bucket("b")
        yield running


@pytest.fixture
def bucket(server: StorageServer, monkeypatch: pytest.MonkeyPatch) -> storage.Bucket:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    client = storage.Client(project="p", credentials=AnonymousCredentials())
    for blob in client.list_blobs("b"):
        blob.delete()
    return client.bucket("b")


def test_preconditions(bucket: storage.Bucket) -> None:
    blob = bucket.blob("a")
    blob.upload_from_string("1", if_generation_match=0)
    first = blob.generation
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("a").upload_from_string("2", if_generation_match=0)
    bucket.blob("a").upload_from_string("3", if_generation_match=first)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("a").delete(if_generation_match=first)
    assert bucket.blob("a").download_as_bytes() == b"3"
    with pytest.raises(exceptions.NotFound):
        bucket.blob("a", generation=first).download_as_bytes()


def test_a_wrong_checksum_is_refused(bucket: storage.Bucket) -> None:
    blob = bucket.blob("a")
    blob.md5_hash = "AAAAAAAAAAAAAAAAAAAAAA=="
    with pytest.raises(exceptions.GoogleAPICallError):
        blob.upload_from_string("1")
    assert not bucket.blob("a").exists()


def test_token_urls(bucket: storage.Bucket, server: StorageServer) -> None:
    blob = bucket.blob("a b/c")
    blob.metadata = {"firebaseStorageDownloadTokens": "one,two"}
    blob.cache_control = "no-cache"
    blob.upload_from_string("x", content_type="text/plain")

    def status(query: str, name: str = "a%20b%2Fc") -> int:
        url = f"{server.url}/v0/b/b/o/{name}?{query}"
        return urllib3.request("GET", url, retries=False).status

    assert status("alt=media&token=one") == 200
    assert status("alt=media&token=two") == 200
    assert status("alt=media&token=three") == 403
    assert status("alt=media") == 403
    assert status("alt=media&token=one", "gone") == 404


def test_rewrites_take_new_metadata_as_a_whole(bucket: storage.Bucket) -> None:
    source = bucket.blob("a")
    source.metadata = {"k": "1"}
    source.upload_from_string("x", content_type="image/png")
    copy = bucket.blob("b")
    copy.content_type = "image/png"
    copy.metadata = {"k": "2"}
    copy.rewrite(source)
    found = bucket.get_blob("b")
    assert found
    assert (found.metadata, found.content_type, found.md5_hash) == (
        {"k": "2"},
        "image/png",
        source.md5_hash,
    )


def test_pages(bucket: storage.Bucket) -> None:
    for number in range(7):
        bucket.blob(f"a/{number}").upload_from_string("x")
    pages = bucket.list_blobs(prefix="a/", page_size=3).pages
    assert [[blob.name for blob in page] for page in pages] == [
        ["a/0", "a/1", "a/2"],
        ["a/3", "a/4", "a/5"],
        ["a/6"],
    ]


def test_it_can_be_stopped_and_started(bucket: storage.Bucket, server: StorageServer) -> None:
    bucket.blob("a").upload_from_string("x")
    server.stop()
    server.start()
    assert bucket.blob("a").download_as_bytes() == b"x"
