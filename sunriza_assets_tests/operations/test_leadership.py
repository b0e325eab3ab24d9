"""The lease of the active dispatcher, over outages of its store."""

import threading
from pathlib import Path

import pytest

from resources.orders.sqlite import SqliteOrders
from sunriza_assets.errors import StoreError
from sunriza_assets.operations.orders_under_way import DISPATCHER_LEASE
from sunriza_assets.runs import dispatcher
from sunriza_assets.runs.dispatcher import Leadership
from sunriza_assets_tests.processes import wait_for


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqliteOrders:
    monkeypatch.setattr(dispatcher, "LEASE_S", 0.4)
    monkeypatch.setattr(dispatcher, "RENEW_S", 0.05)
    return SqliteOrders(tmp_path / "service.db")


def test_a_store_that_is_away_interrupts_and_does_not_end(
    store: SqliteOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Leadership(store, "one")
    assert one.wait(threading.Event())
    assert one.is_held
    with monkeypatch.context() as patch:

        def away(*_: object, **__: object) -> None:
            raise StoreError("The database cannot be reached", code="unreachable")

        patch.setattr(store, "hold_lease", away)
        wait_for(lambda: not one.is_held)
        assert not one.is_lost
    wait_for(lambda: one.is_held)
    one.release()
    assert one.is_lost


def test_who_reaches_the_store_first_has_the_lease(
    store: SqliteOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Leadership(store, "one")
    assert one.wait(threading.Event())
    real = store.hold_lease
    with monkeypatch.context() as patch:

        def away(*_: object, **__: object) -> None:
            raise StoreError("The database cannot be reached", code="unreachable")

        patch.setattr(store, "hold_lease", away)
        wait_for(lambda: not one.is_held)
        wait_for(lambda: real(DISPATCHER_LEASE, "two", seconds=30).holder == "two")
    wait_for(lambda: one.is_lost)
    assert not one.is_held
