"""What holds for drafts and for older publications, whichever stores they are kept in."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.avatars.store import AvatarStore
from resources.publishing.publication import Retention, folder_of, tidy
from resources.publishing.versions import discard_version, publish_draft, republish
from resources.storage.objects import MediaStorage
from sunriza_assets.errors import AvatarError, ConflictError, StoreError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import INPUTS, Client
from sunriza_assets_tests.resources.publishing.publications import (
    AT_ONCE,
    NAMES,
    FailingStorage,
    files_of,
    published,
    versions_seen,
)


class VersionsContract:
    """Drafts and older publications; each pair of stores inherits this suite, too."""

    def test_the_newest_versions_stay_and_are_put_in_place_again(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        avatars.merge("anna", INPUTS)
        keep = Retention(timedelta(seconds=-1), versions=3)
        for number in range(5):
            published(storage, avatars, tmp_path, f"run-{number}", retention=keep)
        record = avatars.get("anna").record
        assert [one.removed for one in record.published] == [True, True, False, False, False]
        assert len(list(storage.list(f"{folder_of('anna')}/v"))) == 3 * len(NAMES)
        first, _, third, *_ = record.published
        document = republish(storage, avatars, "anna", third.version, tmp_path)
        assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-2")
        for name in NAMES:
            plain = storage.stat(f"{folder_of('anna')}/{name}")
            assert plain
            assert opened(plain.url) == f"run-2 {name}".encode()
        for version in (first.version, "v000099-00000000", "../x", ""):
            with pytest.raises(AvatarError) as caught:
                republish(storage, avatars, "anna", version, tmp_path)
            assert caught.value.code == "avatar.version"
        assert len(list(storage.list(f"{folder_of('anna')}/v"))) == 3 * len(NAMES)

    def test_results_that_their_owner_has_removed_are_not_kept(
        self, avatars: AvatarStore, client: Client, storage: MediaStorage, tmp_path: Path
    ) -> None:
        avatars.merge("anna", INPUTS)
        published(storage, avatars, tmp_path, "run-1")
        published(storage, avatars, tmp_path, "run-2")
        client.replace("anna", INPUTS | {"updatedAt": 1})
        avatars.claim("anna", "run-3")
        avatars.fail("anna", "run-3", code="face.none", message="No face.")
        tidy(storage, avatars, "anna", now=datetime.now(UTC) + timedelta(days=2))
        assert not list(storage.list(folder_of("anna")))

    def test_a_version_that_lost_a_file_is_not_put_in_place(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        avatars.merge("anna", INPUTS)
        published(storage, avatars, tmp_path, "run-1")
        published(storage, avatars, tmp_path, "run-2")
        version = avatars.get("anna").record.published[0].version
        storage.delete(f"{folder_of('anna')}/{version}/idle.mp4")
        with pytest.raises(AvatarError):
            republish(storage, avatars, "anna", version, tmp_path)
        basic = avatars.get("anna").basic
        assert versions_seen(basic, opened) == dict.fromkeys(NAMES, "run-2")

    def test_a_draft_is_stored_beside_and_then_published(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        avatars.merge("anna", INPUTS)
        before = published(storage, avatars, tmp_path, "run-1")
        version = publish_draft(
            storage, avatars, "anna", "run-2", files=files_of(tmp_path, "run-2")
        )
        document = avatars.get("anna")
        assert document.data == before.data
        tidy(storage, avatars, "anna", retention=AT_ONCE)
        assert publish_draft(storage, avatars, "anna", "run-2", files={}) == version
        document = republish(storage, avatars, "anna", version, tmp_path)
        assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-2")
        published(storage, avatars, tmp_path, "run-3", retention=AT_ONCE)
        assert not list(storage.list(f"{folder_of('anna')}/d"))

    def test_a_draft_that_is_discarded_leaves_nothing(
        self, avatars: AvatarStore, storage: MediaStorage, tmp_path: Path
    ) -> None:
        avatars.merge("anna", INPUTS)
        published(storage, avatars, tmp_path, "run-1")
        version = publish_draft(
            storage, avatars, "anna", "run-2", files=files_of(tmp_path, "run-2")
        )
        discard_version(storage, avatars, "anna", version)
        assert not list(storage.list(f"{folder_of('anna')}/d"))
        with pytest.raises(AvatarError):
            discard_version(storage, avatars, "anna", version)
        current = avatars.get("anna").record.published[0].version
        with pytest.raises(ConflictError):
            discard_version(storage, avatars, "anna", current)

    def test_what_a_killed_draft_uploaded_goes_after_a_day(
        self, avatars: AvatarStore, storage: MediaStorage, tmp_path: Path
    ) -> None:
        avatars.merge("anna", INPUTS)
        failing: Any = FailingStorage(storage, "put", 3)
        with pytest.raises(StoreError):
            publish_draft(failing, avatars, "anna", "run-1", files=files_of(tmp_path, "run-1"))
        tidy(storage, avatars, "anna")
        assert list(storage.list(f"{folder_of('anna')}/d"))
        tidy(storage, avatars, "anna", now=datetime.now(UTC) + timedelta(days=2))
        assert not list(storage.list(f"{folder_of('anna')}/d"))
        assert avatars.get("anna").record.drafts == ()
