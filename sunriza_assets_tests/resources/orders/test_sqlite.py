"""`SqliteOrders` keeps the contract."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from resources.orders.sqlite import SqliteOrders
from resources.orders.store import OrderStore
from sunriza_assets_tests.resources.orders.order_lists_contract import OrderListsContract
from sunriza_assets_tests.resources.orders.order_makers import Clock, OpenStore
from sunriza_assets_tests.resources.orders.order_parts_contract import OrderPartsContract
from sunriza_assets_tests.resources.orders.orders_contract import OrdersContract


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_store(tmp_path: Path, clock: Clock) -> OpenStore:
    return partial(SqliteOrders, tmp_path / "service" / "service.db", now_ms=clock)


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[OrderStore]:
    store = open_store()
    yield store
    store.close()


class TestSqliteOrders(OrdersContract, OrderListsContract, OrderPartsContract):
    pass
