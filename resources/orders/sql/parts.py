"""What all parts of an order store share."""

from typing import Final

from resources.orders.sql.database import Database, Transaction

__all__ = ["BATCH", "Part"]

BATCH: Final = 500
"""Rows that one transaction removes at most, so that no other writer waits for long."""


class Part:
    """A part of `SqlOrders`: statements on one database.

    Args:
        database: where the tables are.
        push: whether the end of each order is pushed to its owner's devices.
    """

    def __init__(self, database: Database, *, push: bool = False) -> None:
        self._database = database
        self._push = push

    @staticmethod
    def _next_change(transaction: Transaction) -> int:
        """The number of the change that this transaction makes.

        Numbers become visible in their order, because writers take turns.
        """
        ((number,),) = transaction.run("update position set value = value + 1 returning value")
        return int(number)
