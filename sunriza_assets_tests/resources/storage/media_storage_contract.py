"""What every `MediaStorage` must do; each implementation's tests inherit from this suite.

A subclass brings two fixtures: `storage` (the store under test, empty) and `opened` (what an app
gets when it opens a URL: the bytes, or None where it would meet a 404).
"""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.storage.objects import ABSENT, MediaStorage
from sunriza_assets.errors import ConflictError, StoreError
from sunriza_assets_tests.resources.storage.resolving_contract import ResolvingContract, file

__all__ = ["MediaStorageContract", "file"]

HOSTILE_NAMES = [
    "",
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a/./b",
    "a//b",
    "a/",
    ".hidden",
    "a/.objects/b.json",
    "a|b",
    "a\\b",
    "a\nb",
    "a\x00b",
    "a\x7fb",
    "a\ud800b",
    "x" * 1025,
    "a/" + "x" * 255,
]


class MediaStorageContract(ResolvingContract):
    def test_an_address_names_its_object(
        self, storage: MediaStorage, file: Callable[[bytes], Path]
    ) -> None:
        name = "avatars/anna/videos/a clip, ü.mp4"
        assert storage.name_of(storage.put(file(b"x"), name).url) == name
        assert storage.name_of(name) == name
        for address in (
            "https://example.com/avatars/anna/videos/clip.mp4",
            "http://127.0.0.1/avatars/anna/videos/clip.mp4",
            "data:video/mp4,x",
            "file:///etc/passwd",
            "http://[::1",
        ):
            assert storage.name_of(address) is None

    def test_what_is_put_is_there(
        self,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        file: Callable[[bytes], Path],
        tmp_path: Path,
    ) -> None:
        content = os.urandom(300_000)
        stored = storage.put(file(content), "avatars/anna/videos/clip.mp4")
        assert stored.name == "avatars/anna/videos/clip.mp4"
        assert stored.size == 300_000
        assert stored.md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()
        assert stored.content_type == "video/mp4"
        assert storage.stat(stored.name) == stored
        assert opened(stored.url) == content
        assert storage.fetch(stored.name, tmp_path / "down").read_bytes() == content
        resolved = storage.resolve(
            stored.url, tmp_path / "down", avatar_id="anna", max_bytes=300_000
        )
        assert resolved.read_bytes() == content

    @pytest.mark.parametrize("content", [b"", b"\r\n--x\r\n\x00", b"a" * 9_000_000])
    def test_every_content_survives(
        self,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        file: Callable[[bytes], Path],
        content: bytes,
    ) -> None:
        assert opened(storage.put(file(content), "a/b.bin").url) == content

    @pytest.mark.parametrize(
        "name",
        [
            "plain.mp4",
            "bild 1 (über).jpg",
            "images/100%.png",
            "images/b#c?d&e=f+g.png",
            "images/%2F%20.png",
            "images/日本語.mp4",
            "images/[x]*.txt",
        ],
    )
    def test_odd_names_work_in_urls(
        self,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        file: Callable[[bytes], Path],
        tmp_path: Path,
        name: str,
    ) -> None:
        stored = storage.put(file(name.encode()), f"avatars/anna/{name}")
        assert opened(stored.url) == name.encode()
        for url in (stored.url, stored.name):
            path = storage.resolve(url, tmp_path, avatar_id="anna", max_bytes=99)
            assert path.read_bytes() == name.encode()
        assert [one.name for one in storage.list("")] == [stored.name]

    @pytest.mark.parametrize("name", HOSTILE_NAMES)
    def test_hostile_names_are_refused(
        self, storage: MediaStorage, file: Callable[[bytes], Path], tmp_path: Path, name: str
    ) -> None:
        source = file(b"x")
        storage.put(source, "good")
        for operation in (
            lambda: storage.put(source, name),
            lambda: storage.stat(name),
            lambda: storage.fetch(name, tmp_path),
            lambda: storage.copy("good", name),
            lambda: storage.delete(name),
        ):
            with pytest.raises(StoreError) as caught:
                operation()
            assert caught.value.code == "store.name"
        assert [one.name for one in storage.list("")] == ["good"]

    def test_content_type_is_guessed_or_said(
        self, storage: MediaStorage, file: Callable[[bytes], Path]
    ) -> None:
        source = file(b"x")
        guessed = {
            name: storage.put(source, name).content_type
            for name in ("a.jpg", "a.png", "a.json", "a.mp4", "a.webp", "a.zip", "a.npz", "a")
        }
        assert guessed == {
            "a.jpg": "image/jpeg",
            "a.png": "image/png",
            "a.json": "application/json",
            "a.mp4": "video/mp4",
            "a.webp": "image/webp",
            "a.zip": "application/zip",
            "a.npz": "application/octet-stream",
            "a": "application/octet-stream",
        }
        assert storage.put(source, "a", content_type="text/x-own").content_type == "text/x-own"
        stat = storage.stat("a")
        assert stat
        assert stat.content_type == "text/x-own"

    def test_every_write_is_a_new_generation(
        self, storage: MediaStorage, file: Callable[[bytes], Path]
    ) -> None:
        source = file(b"x")
        generations = [storage.put(source, "a").generation for _ in range(10)]
        assert len(set(generations)) == 10

    def test_preconditions_hold(
        self, storage: MediaStorage, file: Callable[[bytes], Path], tmp_path: Path
    ) -> None:
        first = storage.put(file(b"1"), "a", if_generation=ABSENT)
        with pytest.raises(ConflictError):
            storage.put(file(b"2"), "a", if_generation=ABSENT)
        second = storage.put(file(b"3"), "a", if_generation=first.generation)
        with pytest.raises(ConflictError):
            storage.put(file(b"4"), "a", if_generation=first.generation)
        with pytest.raises(ConflictError):
            storage.delete("a", if_generation=first.generation)
        with pytest.raises(ConflictError):
            storage.put(file(b"5"), "b", if_generation=first.generation)
        assert storage.fetch("a", tmp_path / "down").read_bytes() == b"3"
        assert storage.delete("a", if_generation=second.generation)
        assert storage.stat("a") is None
        assert storage.stat("b") is None

    def test_of_many_writers_with_a_precondition_one_wins(
        self, storage: MediaStorage, tmp_path: Path
    ) -> None:
        everybody = threading.Barrier(6)
        won: list[bytes] = []

        def write(number: int) -> None:
            source = tmp_path / f"writer-{number}"
            source.write_bytes(bytes([number]) * 1000)
            everybody.wait()
            try:
                storage.put(source, "a", if_generation=ABSENT)
                won.append(source.read_bytes())
            except ConflictError:
                pass

        threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert storage.fetch("a", tmp_path / "down").read_bytes() == won[0]

    def test_a_missing_object_is_none_or_a_named_error(
        self, storage: MediaStorage, tmp_path: Path
    ) -> None:
        assert storage.stat("a") is None
        assert storage.delete("a") is False
        for operation in (
            lambda: storage.fetch("a", tmp_path),
            lambda: storage.copy("a", "b"),
        ):
            with pytest.raises(StoreError) as caught:
                operation()
            assert caught.value.code == "store.missing"
        with pytest.raises(StoreError):
            storage.put(tmp_path / "absent", "a")
        with pytest.raises(StoreError):
            storage.put(tmp_path, "a")

    def test_a_list_is_in_order_and_by_prefix(
        self, storage: MediaStorage, file: Callable[[bytes], Path]
    ) -> None:
        source = file(b"x")
        for name in ("b/2", "b/10", "b2", "a/c/d", "a/c.d", "a/b"):
            storage.put(source, name)
        names = {
            prefix: [one.name for one in storage.list(prefix)]
            for prefix in ("", "a/", "a/c", "b", "b/", "x", "a/x/y")
        }
        assert names == {
            "": ["a/b", "a/c.d", "a/c/d", "b/10", "b/2", "b2"],
            "a/": ["a/b", "a/c.d", "a/c/d"],
            "a/c": ["a/c.d", "a/c/d"],
            "b": ["b/10", "b/2", "b2"],
            "b/": ["b/10", "b/2"],
            "x": [],
            "a/x/y": [],
        }

    def test_a_deleted_object_is_gone_for_readers(
        self,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        file: Callable[[bytes], Path],
    ) -> None:
        stored = storage.put(file(b"x"), "a/b")
        assert storage.delete("a/b")
        assert opened(stored.url) is None
        assert list(storage.list("")) == []

    def test_a_copy_stands_by_itself(
        self,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        file: Callable[[bytes], Path],
    ) -> None:
        stored = storage.put(file(b"1"), "v1/a.json", content_type="text/x-own")
        storage.put(file(b"old"), "a.json")
        copy = storage.copy("v1/a.json", "a.json")
        assert (copy.name, copy.content_type, copy.md5) == ("a.json", "text/x-own", stored.md5)
        assert copy.url != stored.url
        storage.put(file(b"2"), "v1/a.json")
        assert opened(copy.url) == b"1"
        storage.delete("v1/a.json")
        assert opened(copy.url) == b"1"

    def test_a_change_of_the_source_does_not_reach_the_store(
        self, storage: MediaStorage, opened: Callable[[str], bytes | None], tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"before")
        stored = storage.put(source, "a")
        with source.open("r+b") as writer:
            writer.write(b"after!")
        assert opened(stored.url) == b"before"

    def test_what_is_too_large_is_not_read(
        self, storage: MediaStorage, file: Callable[[bytes], Path], tmp_path: Path
    ) -> None:
        stored = storage.put(file(b"x" * 1001), "avatars/anna/a")
        with pytest.raises(StoreError) as caught:
            storage.resolve(stored.url, tmp_path / "down", avatar_id="anna", max_bytes=1000)
        assert caught.value.code == "store.too_large"
        assert not list((tmp_path / "down").glob("*"))

    def test_a_reader_never_sees_half_an_object(
        self,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        file: Callable[[bytes], Path],
    ) -> None:
        sources = [file(bytes([letter]) * 200_000) for letter in b"ab"]
        url = storage.put(sources[0], "a").url
        stop = threading.Event()

        def write() -> None:
            for number in range(20):
                storage.put(sources[number % 2], "a")
            stop.set()

        writer = threading.Thread(target=write)
        writer.start()
        seen = set()
        while not stop.is_set():
            content = opened(url)
            if content is not None:  # a token changes with every write where there are tokens
                seen.add((len(content), len(set(content))))
        writer.join()
        assert seen <= {(200_000, 1)}
