"""`PostgresOrders` keeps the contract."""

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg2
import pytest

from resources.orders.postgres import PostgresOrders
from resources.orders.store import OrderStore
from sunriza_assets_tests.fleet.servers import Postgres
from sunriza_assets_tests.resources.orders.order_lists_contract import OrderListsContract
from sunriza_assets_tests.resources.orders.order_makers import Clock, OpenStore
from sunriza_assets_tests.resources.orders.order_parts_contract import OrderPartsContract
from sunriza_assets_tests.resources.orders.orders_contract import OrdersContract

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    # Not below pytest's own folder, which the server's user may not enter.
    with TemporaryDirectory(prefix="orders-") as folder:
        Path(folder).chmod(0o755)
        with Postgres(Path(folder) / "postgres") as server:
            yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_store(server: Postgres, clock: Clock) -> OpenStore:
    with closing(psycopg2.connect(server.url.replace("+psycopg2", ""))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("drop schema if exists sunriza cascade")
    return partial(PostgresOrders, server.url, now_ms=clock)


@pytest.fixture
def store(open_store: OpenStore) -> Iterator[OrderStore]:
    store = open_store()
    yield store
    store.close()


class TestPostgresOrders(OrdersContract, OrderListsContract, OrderPartsContract):
    pass
