"""What an avatar wishes once a job that had changed its wishes is cancelled."""

from resources.avatars.asking import Wishes
from resources.avatars.store import AvatarStore
from resources.orders.order import Order
from resources.orders.store import OrderStore

__all__ = ["take_back_wishes"]


def take_back_wishes(avatars: AvatarStore, orders: OrderStore, order: Order) -> bool:
    """Let the avatar of a cancelled order wish what it did before; whether that has changed it.

    Where the order was laid over another one that is cancelled, too, it is what was before that.
    May be repeated.

    Raises:
        AvatarError: the avatar was deleted.
        StoreError: a store cannot be read or written.
    """
    if not order.former or order.avatar_id is None:
        return False
    before = back_to = Wishes.from_dict(order.former)
    while back_to.job_id is not None:
        earlier = orders.get(back_to.job_id)
        if earlier is None or earlier.state != "cancelled" or not earlier.former:
            break
        back_to = Wishes.from_dict(earlier.former)
    return avatars.take_back(
        order.avatar_id,
        job_id=order.order_id,
        parameters=order.inputs.get("parameters", {}),
        before=before,
        back_to=back_to,
    )
