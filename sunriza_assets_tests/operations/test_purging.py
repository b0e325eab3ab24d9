"""Deletions of the service are finished without a daemon."""

from pathlib import Path

from resources.services import Stores, Templates
from resources.stores import open_stores
from sunriza_assets.operations.purging import Purging, purge_retired
from sunriza_assets_tests.operations.conftest import Office
from sunriza_assets_tests.processes import wait_for


def uploaded(office: Office, avatar_id: str, file: Path) -> None:
    """An avatar with an upload."""
    office.avatar(avatar_id)
    file.write_bytes(b"picture")
    open_stores().storage.put(file, f"avatars/{avatar_id}/images/hero.jpg")


def test_a_deleted_avatar_is_purged_once_nothing_runs_for_it(
    office: Office, tmp_path: Path
) -> None:
    uploaded(office, "ada", tmp_path / "a.jpg")
    office.order("ada")
    office.tick()
    [work] = office.runner.works
    run = office.run(work)
    stores = open_stores()
    said = {"sample_sha256": "0" * 64, "who": "Ada", "given_on": "2026-01-31", "statement": "Yes."}
    office.store.add_consent("ann", avatar_id="ada", **said)
    kept = office.store.add_consent("ann", avatar_id="bea", **said)
    stores.avatars.retire("ada", remove=True)
    assert purge_retired(office.instance, Stores(), Templates()) == 0
    assert list(stores.storage.list("avatars/ada/"))
    office.instance.report_run_canceled(run)
    assert purge_retired(office.instance, Stores(), Templates()) == 1
    assert not list(stores.storage.list("avatars/ada/"))
    assert stores.avatars.retired(10) == []
    assert office.store.consents("ann") == [kept], "what was declared for its voice goes with it"
    stores.avatars.check_free("ada", "bob")


def test_a_thread_looks_again_and_again(office: Office, tmp_path: Path) -> None:
    uploaded(office, "ada", tmp_path / "a.jpg")
    purging = Purging(office.instance, every_s=0.02)
    purging.start()
    open_stores().avatars.retire("ada", remove=True)
    wait_for(lambda: open_stores().avatars.retired(10) == [])
    purging.stop()
    assert not list(open_stores().storage.list("avatars/ada/"))
