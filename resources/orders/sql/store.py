"""`SqlOrders`: the whole protocol of `OrderStore`, on any `Database`."""

from resources.orders.sql.acceptance import Acceptances
from resources.orders.sql.answers import Answers
from resources.orders.sql.changes import Changes
from resources.orders.sql.consents import Consents
from resources.orders.sql.credits import Credits
from resources.orders.sql.keys import Keys
from resources.orders.sql.limits import Limits
from resources.orders.sql.listing import Listing
from resources.orders.sql.notices import Notices
from resources.orders.sql.outputs import Outputs
from resources.orders.sql.upkeep import Upkeep

__all__ = ["SqlOrders"]


class SqlOrders(
    Acceptances,
    Answers,
    Changes,
    Listing,
    Limits,
    Credits,
    Keys,
    Notices,
    Outputs,
    Consents,
    Upkeep,
):
    """An order store in SQL.

    Args:
        database: where the tables are.
        push: whether the end of each order is pushed to its owner's devices.
    """
