"""What publishing promises, whichever stores it works on; each pair of stores inherits this suite.

A subclass brings the fixtures of both stores' contracts: `avatars`, `client`, `storage`, `opened`.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from resources.avatars.document import AvatarDocument
from resources.avatars.store import AvatarStore
from resources.publishing.publication import (
    FILES,
    Retention,
    confirm_publication,
    folder_of,
    publish_avatar,
    tidy,
)
from resources.storage.objects import MediaStorage, StoredObject
from sunriza_assets.errors import ConflictError, StoreError
from sunriza_assets_tests.resources.avatars.avatar_store_contract import INPUTS, Client

AT_ONCE = Retention(timedelta(seconds=-1), versions=1)
"""Replaced versions go at once: readers may meet a 404 then, but no document at rest may."""
DAY = Retention(versions=1)
"""They go after a day."""
NAMES = ("idle.mp4", "atlas.jpg", "mask.png", "atlas.json", "roi.json")


def files_of(folder: Path, text: str, names: tuple[str, ...] = NAMES) -> dict[str, Path]:
    """Local files that say which version they belong to."""
    made = {name: folder / text / name for name in names}
    for name, path in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{text} {name}".encode())
    return made


def published(
    storage: MediaStorage,
    avatars: AvatarStore,
    folder: Path,
    run_id: str,
    *,
    names: tuple[str, ...] = NAMES,
    **arguments: Any,
) -> AvatarDocument:
    """A whole run: claim, make, publish."""
    avatars.claim("anna", run_id)
    return publish_avatar(
        storage,
        avatars,
        "anna",
        run_id,
        files=files_of(folder, run_id, names),
        parameters={"fps": 25},
        overridden={},
        **arguments,
    )


def versions_seen(
    basic: Mapping[str, Any], opened: Callable[[str], bytes | None]
) -> dict[str, str | None]:
    """The version that each URL of a document leads to, None for a 404."""
    seen: dict[str, str | None] = {}
    for name, entry in FILES.items():
        if entry.key in basic:
            content = opened(basic[entry.key])
            if content is None:
                seen[name] = None
            else:
                version, _, file_name = content.decode().partition(" ")
                assert file_name == name
                seen[name] = version
    return seen


class FailingStorage:
    """A bucket that fails at the n-th call of an operation, and passes everything else on."""

    def __init__(self, storage: MediaStorage, operation: str, at: int) -> None:
        self._storage = storage
        self._operation = operation
        self._left = at

    def __getattr__(self, name: str) -> Any:
        wrapped = getattr(self._storage, name)
        if name != self._operation:
            return wrapped

        def failing(*args: Any, **keywords: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                raise StoreError("The bucket answers 503", code="unavailable")
            return wrapped(*args, **keywords)

        return failing


class PublicationContract:
    def test_a_publication_is_whole_and_under_the_documented_names(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        avatars.merge("anna", INPUTS)
        document = published(storage, avatars, tmp_path, "run-1")
        assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-1")
        folder = folder_of("anna")
        assert folder == "avatars/anna/dynamics/basic"
        for name in NAMES:
            stored = storage.stat(f"{folder}/{name}")
            assert stored
            assert opened(stored.url) == f"run-1 {name}".encode()
            assert stored.content_type == FILES[name].content_type
        assert not document.needs_run

    def test_chunks_and_frames_go_with_it(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        avatars.merge("anna", INPUTS)
        document = published(storage, avatars, tmp_path, "run-1", names=tuple(FILES))
        assert versions_seen(document.basic, opened) == dict.fromkeys(FILES, "run-1")
        document = published(storage, avatars, tmp_path, "run-2")
        assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-2")
        assert storage.stat(f"{folder_of('anna')}/idle_chunks/idle_chunk1.mp4") is None

    def test_a_file_that_describes_the_others_is_made_after_them(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")
        idle, manifest = tmp_path / "idle.mp4", tmp_path / "manifest.json"
        idle.write_bytes(b"idle")

        def write_manifest() -> Path:
            prefix = f"{folder_of('anna')}/v"
            manifest.write_text("\n".join(stored.name for stored in storage.list(prefix)))
            return manifest

        document = publish_avatar(
            storage,
            avatars,
            "anna",
            "run-1",
            files={"idle.mp4": idle, "manifest.json": write_manifest},
            parameters={},
            overridden={},
        )
        manifest = opened(document.basic["manifestUrl"])
        assert manifest is not None
        assert manifest.endswith(b"/idle.mp4")

    def test_a_reader_who_knew_the_former_version_still_finds_it(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        avatars.merge("anna", INPUTS)
        former = published(storage, avatars, tmp_path, "run-1").basic
        published(storage, avatars, tmp_path, "run-2")
        assert versions_seen(former, opened) == dict.fromkeys(NAMES, "run-1")

    def test_replaced_versions_go_after_a_while(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        avatars.merge("anna", INPUTS)
        old = [published(storage, avatars, tmp_path, f"run-{n}").basic for n in (1, 2, 3)]
        assert tidy(storage, avatars, "anna") == []
        later = datetime.now(UTC) + timedelta(days=2)
        assert len(tidy(storage, avatars, "anna", retention=DAY, now=later)) == 2 * len(NAMES)
        assert [set(versions_seen(basic, opened).values()) for basic in old] == [
            {None},
            {None},
            {"run-3"},
        ]
        assert len(list(storage.list(folder_of("anna")))) == 2 * len(NAMES)

    def test_without_a_retention_time_they_are_deleted_at_once(
        self, avatars: AvatarStore, storage: MediaStorage, tmp_path: Path
    ) -> None:
        avatars.merge("anna", INPUTS)
        for number in (1, 2, 3):
            published(storage, avatars, tmp_path, f"run-{number}", retention=AT_ONCE)
        assert len(list(storage.list(folder_of("anna")))) == 2 * len(NAMES)

    def test_a_run_publishes_once(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        avatars.merge("anna", INPUTS)
        first = published(storage, avatars, tmp_path, "run-1")
        assert published(storage, avatars, tmp_path, "run-1") == first
        assert len(list(storage.list(folder_of("anna")))) == 2 * len(NAMES)
        assert versions_seen(first.basic, opened) == dict.fromkeys(NAMES, "run-1")

    def test_a_superseded_run_publishes_nothing_and_leaves_nothing(
        self, avatars: AvatarStore, storage: MediaStorage, tmp_path: Path
    ) -> None:
        avatars.merge("anna", INPUTS)
        avatars.claim("anna", "run-1")

        class Overtaken(FailingStorage):
            def __init__(self) -> None:
                super().__init__(storage, "put", 3)

            def __getattr__(self, name: str) -> Any:
                if name == "put" and self._left == 1:
                    avatars.claim("anna", "run-2")
                    self._operation = ""
                return super().__getattr__(name)

        with pytest.raises(ConflictError):
            publish_avatar(
                Overtaken(),
                avatars,
                "anna",
                "run-1",
                files=files_of(tmp_path, "run-1"),
                parameters={},
                overridden={},
            )
        assert list(storage.list("")) == []
        assert avatars.get("anna").run_id == "run-2"

    @pytest.mark.parametrize("failure", [("put", 1), ("put", 4), ("put", 5)])
    def test_a_bucket_that_fails_before_the_switch_leaves_the_former_version(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
        failure: tuple[str, int],
    ) -> None:
        avatars.merge("anna", INPUTS)
        published(storage, avatars, tmp_path, "run-1")
        failing: Any = FailingStorage(storage, *failure)
        with pytest.raises(StoreError):
            published(failing, avatars, tmp_path, "run-2")
        document = avatars.get("anna")
        assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-1")
        avatars.fail("anna", "run-2", code="store.unavailable", message="Try again.")
        document = published(storage, avatars, tmp_path, "run-3", retention=AT_ONCE)
        assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-3")
        # What the dead run left behind went with the next clean-up.
        assert len(list(storage.list(folder_of("anna")))) == 2 * len(NAMES)

    @pytest.mark.parametrize("failure", [("copy", 1), ("copy", 3), ("list", 1)])
    def test_a_bucket_that_fails_after_the_switch_does_not_undo_it(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
        failure: tuple[str, int],
    ) -> None:
        avatars.merge("anna", INPUTS)
        failing: Any = FailingStorage(storage, *failure)
        document = published(failing, avatars, tmp_path, "run-1")
        assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-1")
        # Said again, it makes up for what was left undone.
        published(storage, avatars, tmp_path, "run-1")
        assert {storage.stat(f"{folder_of('anna')}/{name}") is None for name in NAMES} == {False}

    def test_two_publications_at_once_leave_the_plain_names_of_one_version(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        """The first run is slow: it copies its files while the second one publishes."""
        avatars.merge("anna", INPUTS)
        copying, overtaken = threading.Event(), threading.Event()

        class Slow(FailingStorage):
            def copy(self, name: str, target: str, **arguments: Any) -> StoredObject:
                if name.endswith("atlas.json") and not overtaken.is_set():
                    copying.set()
                    overtaken.wait(20)
                return storage.copy(name, target, **arguments)

        slow: Any = Slow(storage, "", 0)
        first = threading.Thread(target=published, args=(slow, avatars, tmp_path, "run-1"))
        first.start()
        assert copying.wait(20)
        published(storage, avatars, tmp_path, "run-2")
        overtaken.set()
        first.join()
        plain = {
            FILES[name].key: stored.url
            for name in NAMES
            if (stored := storage.stat(f"{folder_of('anna')}/{name}"))
        }
        assert versions_seen(plain, opened) == dict.fromkeys(NAMES, "run-2")

    def test_a_client_that_saves_the_former_version_is_put_right(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        client: Client,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
    ) -> None:
        avatars.merge("anna", INPUTS)
        published(storage, avatars, tmp_path, "run-1")
        stale = client.read("anna")
        published(storage, avatars, tmp_path, "run-2")
        client.save("anna", stale)
        document = avatars.get("anna")
        assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-1")
        avatars.settle("anna")
        document = avatars.get("anna")
        assert versions_seen(document.basic, opened) == dict.fromkeys(NAMES, "run-2")

    def test_only_documented_files_are_published(
        self, avatars: AvatarStore, storage: MediaStorage, tmp_path: Path
    ) -> None:
        avatars.merge("anna", INPUTS)
        with pytest.raises(ValueError, match=r"evil\.sh"):
            published(storage, avatars, tmp_path, "run-1", names=("idle.mp4", "evil.sh"))
        with pytest.raises(ValueError, match="idle"):
            published(storage, avatars, tmp_path, "run-1", names=("atlas.jpg",))

    @pytest.mark.parametrize("change", ["nothing", "a file", "one file less", "the manifest"])
    def test_only_the_very_same_publication_is_left_in_place(
        self,
        avatars: AvatarStore,
        storage: MediaStorage,
        opened: Callable[[str], bytes | None],
        tmp_path: Path,
        change: str,
    ) -> None:
        avatars.merge("anna", INPUTS)
        names = (*NAMES, "manifest.json")
        before = published(storage, avatars, tmp_path, "run-1", names=names)
        files = files_of(tmp_path, "run-1", NAMES)
        if change == "a file":
            files["mask.png"].write_bytes(b"run-2 mask.png")
        if change == "one file less":
            del files["mask.png"]
        avatars.claim("anna", "run-2")
        document = confirm_publication(
            storage,
            avatars,
            "anna",
            "run-2",
            files=files,
            manifest_matches=lambda _: change != "the manifest",
            parameters={"fps": 30},
            overridden={},
            scratch=tmp_path / "scratch",
        )
        if change != "nothing":
            assert document is None
            assert avatars.get("anna").status == "generating"
            return
        assert document is not None
        assert (document.status, document.run_id) == ("ready", "run-2")
        assert document.basic["parameters"] == {"fps": 30}
        assert not document.needs_run
        assert not document.needs_settling
        assert document.record.current is not None
        assert before.record.current is not None
        assert document.record.current.version == before.record.current.version
        assert document.record.current.run_id == "run-1"
        assert versions_seen(document.basic, opened) == dict.fromkeys(names, "run-1")

    def test_confirming_may_be_repeated_and_is_for_the_owner_alone(
        self, avatars: AvatarStore, storage: MediaStorage, tmp_path: Path
    ) -> None:
        avatars.merge("anna", INPUTS)
        current = published(storage, avatars, tmp_path, "run-1").record.current
        assert current is not None
        arguments: dict[str, Any] = {"parameters": {}, "overridden": {}}
        avatars.claim("anna", "run-2")
        with pytest.raises(ConflictError):
            avatars.confirm("anna", "run-1", version=current.version, **arguments)
        with pytest.raises(ConflictError):
            avatars.confirm("anna", "run-2", version="v000009-00000000", **arguments)
        once = avatars.confirm("anna", "run-2", version=current.version, **arguments)
        twice = avatars.confirm("anna", "run-2", version=current.version, **arguments)
        assert twice.record == once.record
        avatars.claim("anna", "run-3")
        with pytest.raises(ConflictError):
            avatars.confirm("anna", "run-2", version=current.version, **arguments)
