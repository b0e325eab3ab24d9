"""`FirebaseStorage` keeps the contract over real HTTP, and survives network faults."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from resources.google import errors as google_errors
from resources.storage.firebase import FirebaseStorage
from resources.storage.objects import ABSENT
from sunriza_assets.errors import ConflictError, StoreError
from sunriza_assets_tests.resources.storage.media_storage_contract import MediaStorageContract, file
from sunriza_assets_tests.resources.storage.storage_fixtures import (
    opened,
    own_bucket_server,
    storage,
    storage_server,
)
from sunriza_assets_tests.servers.storage.server import StorageServer

__all__ = ["file", "opened", "own_bucket_server", "storage", "storage_server"]

BIG = 20_000_000
"""More than the client uploads in one request."""


class TestContract(MediaStorageContract):
    """All of it."""


class TestUrls:
    def test_they_are_firebase_download_urls(
        self, storage: FirebaseStorage, file: Callable[[bytes], Path]
    ) -> None:
        stored = storage.put(file(b"x"), "avatars/anna/dynamics/basic/idle.mp4")
        parts = urlsplit(stored.url)
        assert parts.path.endswith("/o/avatars%2Fanna%2Fdynamics%2Fbasic%2Fidle.mp4")
        query = parse_qs(parts.query)
        assert query["alt"] == ["media"]
        assert len(query["token"][0]) == 36

    def test_every_object_has_a_token_of_its_own(
        self,
        storage: FirebaseStorage,
        opened: Callable[[str], bytes | None],
        file: Callable[[bytes], Path],
    ) -> None:
        first, second = storage.put(file(b"1"), "a"), storage.put(file(b"2"), "b")
        assert opened(first.url.replace("/o/a", "/o/b")) is None
        assert opened(second.url) == b"2"

    def test_a_private_object_has_no_token(
        self, storage: FirebaseStorage, file: Callable[[bytes], Path]
    ) -> None:
        stored = storage.put(file(b"x"), "pipeline/anna/mask/run/mask.png", private=True)
        assert "token" not in parse_qs(urlsplit(stored.url).query)
        assert "token" not in stored.url
        assert storage.stat(stored.name) == stored

    def test_cache_control_is_served(
        self, storage: FirebaseStorage, file: Callable[[bytes], Path]
    ) -> None:
        import urllib3

        stored = storage.put(file(b"x"), "v1/a", cache_control="public, max-age=31536000")
        copied = storage.copy("v1/a", "a", cache_control="no-cache")
        answers = [urllib3.request("GET", one.url, retries=False) for one in (stored, copied)]
        assert [answer.headers["cache-control"] for answer in answers] == [
            "public, max-age=31536000",
            "no-cache",
        ]


class TestInputs:
    """What a document may name; see also the contract."""

    NAME = "avatars/victim/images/b c/ü.jpg"

    def forms(self, storage: FirebaseStorage, name: str) -> list[str]:
        """All ways in which Google's services name an object, without a token."""
        bucket, encoded = storage._bucket.name, quote(name, safe="")
        path = quote(name)
        return [
            name,
            f"gs://{bucket}/{name}",
            f"{storage._base_url}/v0/b/{bucket}/o/{encoded}?alt=media",
            f"{storage._base_url}/{bucket}/{path}",
            f"https://firebasestorage.googleapis.com/v0/b/{bucket}/o/{encoded}?alt=media",
            f"https://firebasestorage.googleapis.com:443/v0/b/{bucket}/o/{path}?alt=media",
            f"https://FirebaseStorage.googleapis.com./v0/b/{bucket}/o/{encoded}",
            f"https://{bucket}/v0/b/{bucket}/o/{encoded}?alt=media",
            f"https://{bucket}/{path}",
            f"https://storage.googleapis.com/{bucket}/{path}",
            f"https://user@storage.googleapis.com/{bucket}/{path}",
            f"https://storage.googleapis.com/%{ord(bucket[0]):02x}{bucket[1:]}/{path}",
            f"https://{bucket}.storage.googleapis.com/{path}",
            f"https://storage.googleapis.com/storage/v1/b/{bucket}/o/{encoded}?alt=media",
            f"https://storage.googleapis.com/download/storage/v1/b/{bucket}/o/{encoded}",
            f"https://www.googleapis.com/storage/v1/b/{bucket}/o/{encoded}?alt=media",
            f"https://storage.cloud.google.com/{bucket}/{path}",
            f"http://storage.googleapis.com/{bucket}/{path}",
        ]

    def test_every_form_names_an_own_object(
        self, storage: FirebaseStorage, file: Callable[[bytes], Path], tmp_path: Path
    ) -> None:
        storage.put(file(b"x"), self.NAME)
        for url in self.forms(storage, self.NAME):
            path = storage.resolve(url, tmp_path / "down", avatar_id="victim", max_bytes=9)
            assert path.read_bytes() == b"x", url

    def test_no_form_names_an_object_of_somebody_elses(
        self, storage: FirebaseStorage, file: Callable[[bytes], Path], tmp_path: Path
    ) -> None:
        """The error does not show whether it exists, and the bucket is not queried."""
        for present in (False, True):
            if present:
                storage.put(file(b"x"), self.NAME)
            for url in self.forms(storage, self.NAME):
                with pytest.raises(StoreError) as caught:
                    storage.resolve(url, tmp_path / "down", avatar_id="anna", max_bytes=9)
                assert caught.value.code == "store.refused", url

    def test_the_objects_own_token_opens_it_and_no_other(
        self, storage: FirebaseStorage, file: Callable[[bytes], Path], tmp_path: Path
    ) -> None:
        url = storage.put(file(b"x"), self.NAME).url
        path = storage.resolve(url, tmp_path / "down", avatar_id="anna", max_bytes=9)
        assert path.read_bytes() == b"x"
        plain, _, token = url.partition("&token=")
        other = parse_qs(urlsplit(storage.put(file(b"y"), "b").url).query)["token"][0]
        answers = set()
        for wrong in ("", other, token[:-1], token.upper(), f"{token},", f"{token}&token={token}"):
            with pytest.raises(StoreError) as caught:
                storage.resolve(f"{plain}&token={wrong}", tmp_path, avatar_id="anna", max_bytes=9)
            answers.add(caught.value.message)
        gone = storage.put(file(b"z"), "avatars/victim/images/gone.jpg").url
        storage.delete("avatars/victim/images/gone.jpg")
        with pytest.raises(StoreError) as caught:
            storage.resolve(gone, tmp_path, avatar_id="anna", max_bytes=9)
        assert caught.value.code == "store.refused"
        assert len(answers) == 1
        assert token not in answers.pop()

    def test_each_of_several_tokens_opens_it(
        self, storage: FirebaseStorage, file: Callable[[bytes], Path], tmp_path: Path
    ) -> None:
        """Firebase's console gives out another one and keeps the former."""
        plain = storage.put(file(b"x"), self.NAME).url.partition("&token=")[0]
        blob = storage._bucket.get_blob(self.NAME)
        assert blob
        blob.metadata = {"firebaseStorageDownloadTokens": "first,second"}
        blob.patch()
        for token in ("first", "second"):
            url = f"{plain}&token={token}"
            path = storage.resolve(url, tmp_path / token, avatar_id="anna", max_bytes=9)
            assert path.read_bytes() == b"x"
        with pytest.raises(StoreError):
            url = f"{plain}&token=first,second"
            storage.resolve(url, tmp_path, avatar_id="anna", max_bytes=9)

    def test_a_token_opens_no_version_that_takes_the_objects_place(
        self,
        storage: FirebaseStorage,
        own_bucket_server: StorageServer,
        file: Callable[[bytes], Path],
        tmp_path: Path,
    ) -> None:
        """Its owner replaces it between the look at its tokens and the download."""
        url = storage.put(file(b"shared"), self.NAME).url
        own_bucket_server.fail("GET", "/download/", status=None, delay_s=0.4)
        answers: list[object] = []

        def read() -> None:
            try:
                path = storage.resolve(url, tmp_path / "down", avatar_id="anna", max_bytes=9)
                answers.append(path.read_bytes())
            except StoreError as error:
                answers.append(error.code)

        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(0.15)
        storage.put(file(b"private"), self.NAME)
        reader.join()
        assert answers[0] in (b"shared", "store.refused")

    @pytest.mark.parametrize("folder", ["pipeline", "cache"])
    def test_no_token_opens_this_systems_own_files(
        self, storage: FirebaseStorage, file: Callable[[bytes], Path], tmp_path: Path, folder: str
    ) -> None:
        """Those of former versions still have one."""
        url = storage.put(file(b"x"), f"{folder}/victim/a.jpg").url
        assert "token=" in url
        with pytest.raises(StoreError) as caught:
            storage.resolve(url, tmp_path, avatar_id="anna", max_bytes=9)
        assert caught.value.code == "store.refused"

    @pytest.mark.parametrize(
        "url",
        [
            "https://firebasestorage.googleapis.com/v0/b/other/o/a?alt=media",
            "https://storage.googleapis.com/other/a",
            "https://storage.googleapis.com.evil.example/a",
            "https://user:pass@storage.googleapis.com/a",
        ],
    )
    def test_other_buckets_are_foreign(
        self, storage: FirebaseStorage, tmp_path: Path, url: str
    ) -> None:
        with pytest.raises(StoreError) as caught:
            storage.resolve(url, tmp_path, avatar_id="anna", max_bytes=9)
        assert caught.value.code == "store.address"


class TestLists:
    def test_more_objects_than_a_page_holds(
        self, storage: FirebaseStorage, own_bucket_server: StorageServer
    ) -> None:
        bucket = own_bucket_server.storage.objects.setdefault(storage._bucket.name, {})
        names = [f"a/{number:05d}" for number in range(2500)]
        for name in names:
            bucket[name] = {"name": name, "size": "1", "generation": "1"}
        assert [one.name for one in storage.list("a/")] == names


class TestFaults:
    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("status", [503, 500, 429, 0])
    @pytest.mark.parametrize("size", [100, BIG])
    def test_a_conditional_upload_whose_answer_is_lost_is_still_ours(
        self,
        storage: FirebaseStorage,
        own_bucket_server: StorageServer,
        file: Callable[[bytes], Path],
        tmp_path: Path,
        size: int,
        status: int,
        when: str,
    ) -> None:
        content = os.urandom(size)
        own_bucket_server.fail("PUT" if size == BIG else "POST", when=when, status=status)
        stored = storage.put(file(content), "a", if_generation=ABSENT)
        assert storage.fetch("a", tmp_path / "down").read_bytes() == content
        assert storage.stat("a") == stored
        with pytest.raises(ConflictError):
            storage.put(file(b"other"), "a", if_generation=ABSENT)

    def test_a_download_that_breaks_off_begins_anew(
        self,
        storage: FirebaseStorage,
        own_bucket_server: StorageServer,
        file: Callable[[bytes], Path],
        tmp_path: Path,
    ) -> None:
        content = os.urandom(500_000)
        storage.put(file(content), "a")
        own_bucket_server.fail("GET", "/download/", status=None, cut_at=100_000, times=2)
        own_bucket_server.fail("GET", "/download/", status=503)
        path = storage.fetch("a", tmp_path / "down")
        assert path.read_bytes() == content
        assert list(path.parent.iterdir()) == [path]

    def test_an_object_that_is_replaced_during_the_download_is_never_mixed(
        self,
        storage: FirebaseStorage,
        own_bucket_server: StorageServer,
        file: Callable[[bytes], Path],
        tmp_path: Path,
    ) -> None:
        storage.put(file(b"1" * 1000), "a")
        own_bucket_server.fail("GET", "/download/", status=None, delay_s=0.3)
        fetched: list[Path] = []
        reader = threading.Thread(
            target=lambda: fetched.append(storage.fetch("a", tmp_path / "down"))
        )
        reader.start()
        time.sleep(0.1)
        storage.put(file(b"2" * 1000), "a")
        reader.join()
        assert fetched[0].read_bytes() in (b"1" * 1000, b"2" * 1000)

    def test_an_idle_connection_blocks_no_other(
        self,
        storage: FirebaseStorage,
        own_bucket_server: StorageServer,
        file: Callable[[bytes], Path],
    ) -> None:
        import socket

        with socket.create_connection(("127.0.0.1", own_bucket_server.port)):
            assert storage.put(file(b"x"), "a").size == 1

    @pytest.mark.parametrize(
        ("status", "code"), [(403, "store.rights"), (401, "store.credentials")]
    )
    def test_what_cannot_be_helped_is_a_named_error_at_once(
        self,
        storage: FirebaseStorage,
        own_bucket_server: StorageServer,
        file: Callable[[bytes], Path],
        status: int,
        code: str,
    ) -> None:
        own_bucket_server.fail("POST", status=status)
        with pytest.raises(StoreError) as caught:
            storage.put(file(b"x"), "a")
        assert caught.value.code == code

    def test_a_bucket_that_stays_away_is_a_named_error(
        self,
        storage: FirebaseStorage,
        own_bucket_server: StorageServer,
        file: Callable[[bytes], Path],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(google_errors, "PATIENCE_S", 0.3)
        own_bucket_server.fail("POST", times=1000)
        with pytest.raises(StoreError) as caught:
            storage.put(file(b"x"), "a")
        assert caught.value.code == "store.unavailable"
        assert storage.stat("a") is None
