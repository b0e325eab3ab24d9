"""Whose output files are, and until when."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from resources.orders.records import Output
from resources.orders.sql.parts import Part
from resources.orders.sql.rows import Row, datetime_of, milliseconds

__all__ = ["Outputs"]

_COLUMNS: Final = "name, owner, order_id, expires_at"


class Outputs(Part):
    """Names of output files."""

    def add_output(
        self, name: str, owner: str, *, order_id: str | None, expires_at: datetime
    ) -> None:
        """See `OrderStore.add_output`."""
        with self._database.write() as transaction:
            transaction.run(
                "insert into outputs (name, owner, order_id, expires_at) values (?, ?, ?, ?)"
                " on conflict (name) do update set owner = excluded.owner,"
                " order_id = excluded.order_id, expires_at = excluded.expires_at",
                name,
                owner,
                order_id,
                milliseconds(expires_at),
            )

    def output_owner(self, name: str) -> str | None:
        """See `OrderStore.output_owner`."""
        found = self.output(name)
        return None if found is None else found.owner

    def output(self, name: str) -> Output | None:
        """See `OrderStore.output`."""
        with self._database.read() as transaction:
            rows = transaction.run(
                f"select {_COLUMNS} from outputs where name = ? and expires_at > ?",
                name,
                transaction.now,
            )
        return _output(rows[0]) if rows else None

    def outputs_of(self, order_id: str) -> Sequence[str]:
        """See `OrderStore.outputs_of`."""
        with self._database.read() as transaction:
            rows = transaction.run(
                "select name from outputs where order_id = ? order by name", order_id
            )
        return [name for (name,) in rows]

    def remove_output(self, name: str) -> bool:
        """See `OrderStore.remove_output`."""
        with self._database.write() as transaction:
            return bool(transaction.run("delete from outputs where name = ? returning name", name))

    def expired_outputs(self, limit: int = 500) -> Sequence[Output]:
        """See `OrderStore.expired_outputs`."""
        with self._database.read() as transaction:
            rows = transaction.run(
                f"select {_COLUMNS} from outputs where expires_at <= ?"
                " order by expires_at, name limit ?",
                transaction.now,
                limit,
            )
        return [_output(row) for row in rows]


def _output(row: Row) -> Output:
    name, owner, order_id, expires_at = row
    return Output(name, owner, order_id, datetime_of(expires_at))
