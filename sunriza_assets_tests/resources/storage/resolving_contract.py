"""Which addresses a `MediaStorage` resolves for an avatar: public ones and its own folder's.

A part of the suite in `media_storage_contract.py`.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.storage.objects import MediaStorage
from sunriza_assets.errors import StoreError


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Makes a local file to upload."""

    def make(content: bytes) -> Path:
        path = tmp_path / f"source-{hashlib.sha256(content).hexdigest()[:8]}"
        path.write_bytes(content)
        return path

    return make


class ResolvingContract:
    @pytest.mark.parametrize(
        "url",
        [
            "",
            "http://[",
            "file:///etc/passwd",
            "file:///x/storage/../../etc/passwd",
            "file:///x/storage/%2e%2e/%2e%2e/etc/passwd",
            "file://evil.example/x/storage/a",
            "/etc/passwd",
            "../a",
            "ftp://example.com/a",
            "data:,x",
            "http://169.254.169.254/computeMetadata/v1/",
            "https://localhost/a",
            "javascript:alert(1)",
            "gs://other-bucket/a",
        ],
    )
    def test_foreign_addresses_are_refused(
        self, storage: MediaStorage, tmp_path: Path, url: str
    ) -> None:
        with pytest.raises(StoreError):
            storage.resolve(url, tmp_path / "down", avatar_id="anna", max_bytes=1000)

    @pytest.mark.parametrize(
        "name",
        [
            "avatars/victim/images/a.jpg",
            "avatars/anna2/images/a.jpg",
            "avatars/ann/images/a.jpg",
            "avatars/Anna/images/a.jpg",
            "Avatars/anna/images/a.jpg",
            "users/victim/moments/a.jpg",
            "pipeline/anna/hero_image/run/a.jpg",
            "pipeline/victim/hero_image/run/a.jpg",
            "cache/templates/a.jpg",
            "avatars/anna/dynamics/basic/a.jpg",
            "avatars/anna%2Fimages/a.jpg",
            "anna/images/a.jpg",
            "a.jpg",
        ],
    )
    def test_a_name_opens_nothing_outside_of_the_avatars_own_folder(
        self,
        storage: MediaStorage,
        file: Callable[[bytes], Path],
        tmp_path: Path,
        name: str,
    ) -> None:
        """And the answer is the same before and after the object is there."""

        def answer() -> tuple[str, str, str | None]:
            with pytest.raises(StoreError) as caught:
                storage.resolve(name, tmp_path / "down", avatar_id="anna", max_bytes=1000)
            return caught.value.code, caught.value.message, caught.value.remedy

        before = answer()
        storage.put(file(b"private"), name)
        assert answer() == before
        assert before[0] == "store.refused"
        assert not list((tmp_path / "down").glob("**/*.jpg"))

    @pytest.mark.parametrize(
        "name",
        [
            "avatars/anna/../victim/a.jpg",
            "avatars/anna/./a.jpg",
            "avatars/anna//a.jpg",
            "avatars//victim/a.jpg",
            "/avatars/victim/a.jpg",
            "avatars/anna/%2e%2e/victim/a.jpg",
            "avatars/victim%2Fa.jpg",
            " avatars/victim/a.jpg",
            "avatars/anna/\n../../victim/a.jpg",
            "avatars/anna\\..\\victim\\a.jpg",
            "avatars/anna",
            "avatars/anna/",
        ],
    )
    def test_no_spelling_leaves_the_own_folder(
        self,
        storage: MediaStorage,
        file: Callable[[bytes], Path],
        tmp_path: Path,
        name: str,
    ) -> None:
        storage.put(file(b"private"), "avatars/victim/a.jpg")
        with pytest.raises(StoreError) as caught:
            storage.resolve(name, tmp_path / "down", avatar_id="anna", max_bytes=1000)
        # `%2e%2e` is a folder's name like any other where nothing decodes it, and holds nothing.
        assert caught.value.code in ("store.refused", "store.missing")

    def test_an_object_of_the_own_folder_that_is_missing_is_told_so(
        self, storage: MediaStorage, tmp_path: Path
    ) -> None:
        with pytest.raises(StoreError) as caught:
            storage.resolve("avatars/anna/images/a.jpg", tmp_path, avatar_id="anna", max_bytes=1000)
        assert caught.value.code == "store.missing"
