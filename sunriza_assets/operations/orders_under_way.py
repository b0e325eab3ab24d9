"""Which avatars the service's dispatcher is about to make, so that no sensor requests a run too."""

import logging
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

from resources.avatars.document import AvatarDocument
from resources.home import Home
from resources.orders.open import open_orders
from resources.orders.order import Order
from resources.settings import current_settings
from sunriza_assets.errors import StoreError

__all__ = ["DISPATCHER_LEASE", "OrdersUnderWay"]

_log = logging.getLogger(__name__)

DISPATCHER_LEASE: Final = "dispatcher"
"""Name of the lease that the active dispatcher renews."""


class OrdersUnderWay:
    """The unfinished orders during one tick of a sensor; none where no dispatcher is active."""

    def will_run(self, document: AvatarDocument) -> bool:
        """Whether an order makes these inputs of an avatar, or will make whatever they are then."""
        return any(
            order.avatar_id == document.avatar_id
            and (order.run_id is None or order.inputs_version == document.inputs_version)
            for order in self._orders
        )

    @cached_property
    def _orders(self) -> list[Order]:
        settings = current_settings()
        home = Home(settings.home).root
        if settings.orders_url is None and not (home / "service" / "service.db").exists():
            return []
        try:
            store = open_orders()
            lease = store.lease(DISPATCHER_LEASE)
            if lease is None or lease.until < datetime.now(UTC):
                return []
            return [order for order in store.unfinished() if order.kind == "dynamics"]
        except StoreError as problem:  # runs are requested as if there were no service
            _log.warning("The orders of the service cannot be read: %s", problem)
            return []
