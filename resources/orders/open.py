"""The order store that the settings name."""

import os
from functools import lru_cache

from resources.home import Home
from resources.orders.store import OrderStore
from resources.settings import Settings, current_settings

__all__ = ["open_orders"]


def open_orders(settings: Settings | None = None) -> OrderStore:
    """The order store in use; the same object for the same settings in one process.

    Postgres if SUNRIZA_ORDERS_URL is set, else `service/service.db` below SUNRIZA_HOME.

    Args:
        settings: of the process if not given.

    Raises:
        StoreError: it cannot be opened.
    """
    settings = settings or current_settings()
    url = None if settings.orders_url is None else settings.orders_url.get_secret_value()
    # Connections do not survive into a forked process.
    return _opened(Home(settings.home), url, settings.push != "off", os.getpid())


@lru_cache(maxsize=8)
def _opened(home: Home, url: str | None, push: bool, process: int) -> OrderStore:
    del process  # part of the key only
    if url is not None:
        from resources.orders.postgres import PostgresOrders

        return PostgresOrders(url, push=push)
    from resources.orders.sqlite import SqliteOrders

    home.make()
    return SqliteOrders(home.root / "service" / "service.db", push=push)
