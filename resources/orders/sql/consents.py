"""What callers have declared of the voices that they let imitate."""

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from resources.orders.records import Consent
from resources.orders.sql.parts import Part
from resources.orders.sql.rows import Row, datetime_of

__all__ = ["Consents"]

_COLUMNS: Final = "consent_id, owner, sample_sha256, who, given_on, statement, avatar_id, at"


class Consents(Part):
    """Declarations, each stored once."""

    def add_consent(
        self,
        owner: str,
        *,
        sample_sha256: str,
        who: str,
        given_on: str,
        statement: str,
        avatar_id: str | None = None,
    ) -> Consent:
        """See `OrderStore.add_consent`."""
        said = (owner, sample_sha256, who, given_on, statement, avatar_id)
        consent_id = f"con_{hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]}"
        with self._database.write() as transaction:
            transaction.run(
                f"insert into consents ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?)"
                " on conflict (consent_id) do nothing",
                consent_id,
                *said,
                transaction.now,
            )
            (row,) = transaction.run(
                f"select {_COLUMNS} from consents where consent_id = ?", consent_id
            )
        return _consent(row)

    def consents(self, owner: str | None) -> Sequence[Consent]:
        """See `OrderStore.consents`."""
        with self._database.read() as transaction:
            rows = transaction.run(
                f"select {_COLUMNS} from consents"
                f"{'' if owner is None else ' where owner = ?'} order by at desc, consent_id",
                *([] if owner is None else [owner]),
            )
        return [_consent(row) for row in rows]

    def remove_consent(self, consent_id: str) -> bool:
        """See `OrderStore.remove_consent`."""
        with self._database.write() as transaction:
            return bool(
                transaction.run("delete from consents where consent_id = ? returning 1", consent_id)
            )

    def remove_consents_of(self, avatar_id: str) -> int:
        """See `OrderStore.remove_consents_of`."""
        with self._database.write() as transaction:
            return len(
                transaction.run("delete from consents where avatar_id = ? returning 1", avatar_id)
            )


def _consent(row: Row) -> Consent:
    consent_id, owner, sample_sha256, who, given_on, statement, avatar_id, at = row
    return Consent(
        consent_id, owner, sample_sha256, who, given_on, statement, avatar_id, datetime_of(at)
    )
