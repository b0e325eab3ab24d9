"""Ends of orders to speak: the sound becomes the owner's output, or is removed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg

from resources.accounting.event_log import plain_metadata
from resources.orders.order import Order, OrderCost
from resources.orders.spoken import AUDIO_SUFFIXES, SpokenSound, object_name
from resources.orders.store import OrderStore
from resources.settings import current_settings
from resources.stores import open_stores
from sunriza_assets.costs.totals import run_total
from sunriza_assets.operations.order_runs import Outcome

__all__ = ["discard_sound", "publish_sound"]

_HIDDEN: Final = frozenset({"characters"})
"""Facts of a sound that are no part of an answer."""


def publish_sound(
    store: OrderStore, instance: dg.DagsterInstance, order: Order, outcome: Outcome
) -> tuple[dict[str, Any] | None, OrderCost | None]:
    """Make the sound of a run its owner's, for as long as sounds are kept; may be repeated.

    Returns:
        The order's result and cost; None if the run has not finished its sound, or the order was
        cancelled meanwhile.
    """
    if outcome.status != "ready" or order.state == "cancelling":
        return None, None
    facts = _facts(instance, outcome.run_id)
    if facts is None:
        return None, None
    sound = SpokenSound.from_dict(facts)
    expires_at = datetime.now(UTC) + timedelta(hours=current_settings().keep_audio_hours)
    for suffix in AUDIO_SUFFIXES:
        store.add_output(
            f"{sound.audio_id}.{suffix}",
            order.owner,
            order_id=order.order_id,
            expires_at=expires_at,
        )
    shown = {name: value for name, value in sound.to_dict().items() if name not in _HIDDEN}
    total = run_total([facts])
    cost = None
    if total.cost is not None:
        cost = OrderCost(round(total.seconds, 6), total.cost, total.currency)
    return {"audio_url": f"/audio/{sound.audio_id}", **shown}, cost


def discard_sound(order: Order) -> None:
    """Remove what the runs of an order that has not succeeded have left in the bucket.

    Raises:
        StoreError: the bucket cannot be reached.
    """
    storage = open_stores().storage
    for stored in list(storage.list(object_name(order.order_id, ""))):
        storage.delete(stored.name)


def _facts(instance: dg.DagsterInstance, run_id: str) -> Mapping[str, Any] | None:
    """Metadata of what a run has made; None if it has made nothing."""
    made = instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    for record in reversed(made):
        materialization = record.asset_materialization
        if materialization is not None:
            return plain_metadata(materialization.metadata)
    return None
