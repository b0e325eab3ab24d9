"""Credits: reserved with an order, captured or given back when it ends."""

from resources.orders.order import Order
from resources.orders.sql.database import Transaction
from resources.orders.sql.parts import Part
from sunriza_assets.errors import CreditsError

__all__ = ["Credits", "reserve", "settle"]


class Credits(Part):
    """Accounts."""

    def credits(self, owner: str) -> int | None:
        """See `OrderStore.credits`."""
        with self._database.read() as transaction:
            rows = transaction.run("select balance from accounts where owner = ?", owner)
        return int(rows[0][0]) if rows else None

    def add_credits(self, owner: str, amount: int) -> int:
        """See `OrderStore.add_credits`."""
        with self._database.write() as transaction:
            ((balance,),) = transaction.run(
                "insert into accounts as a (owner, balance) values (?, ?)"
                " on conflict (owner) do update set balance = a.balance + excluded.balance"
                " returning balance",
                owner,
                amount,
            )
        return int(balance)


def reserve(transaction: Transaction, order: Order, amount: int) -> None:
    """Take an order's credits off its owner's account.

    Raises:
        CreditsError: `credits.insufficient`.
    """
    if amount <= 0:
        return
    left = transaction.run(
        "update accounts set balance = balance - ? where owner = ? and balance >= ?"
        " returning balance",
        amount,
        order.owner,
        amount,
    )
    if not left:
        raise CreditsError(
            f"This costs {amount} credits, more than you have left",
            remedy="Get more credits and try again.",
            code="insufficient",
        )
    transaction.run(
        "insert into reservations (order_id, owner, amount, state, at)"
        " values (?, ?, ?, 'reserved', ?)",
        order.order_id,
        order.owner,
        amount,
        transaction.now,
    )


def settle(transaction: Transaction, order: Order) -> None:
    """Capture an ended order's credits if it is done, else give them back; once."""
    settled = transaction.run(
        "update reservations set state = ? where order_id = ? and state = 'reserved'"
        " returning owner, amount",
        "captured" if order.state == "done" else "returned",
        order.order_id,
    )
    if settled and order.state != "done":
        ((owner, amount),) = settled
        transaction.run("update accounts set balance = balance + ? where owner = ?", amount, owner)
