"""API keys and the secrets that webhooks are signed with."""

import base64
import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from resources.orders.records import ApiKey
from resources.orders.sql.database import Transaction
from resources.orders.sql.parts import Part
from resources.orders.sql.rows import DAY_MS, Row, datetime_of, json_text, milliseconds

__all__ = ["Keys", "default_webhook"]

_COLUMNS: Final = (
    "key_id, secret_sha256, owner, scopes, name, created_at, revoked_at, last_used_at, webhook"
)
_MINUTE_MS: Final = 60_000


class Keys(Part):
    """API keys, webhook secrets."""

    def add_key(self, key: ApiKey) -> None:
        """See `OrderStore.add_key`."""
        with self._database.write() as transaction:
            transaction.run(
                f"insert into api_keys ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                key.key_id,
                key.secret_sha256,
                key.owner,
                " ".join(sorted(key.scopes)),
                key.name,
                milliseconds(key.created_at),
                None if key.revoked_at is None else milliseconds(key.revoked_at),
                None if key.last_used_at is None else milliseconds(key.last_used_at),
                json_text(dict(key.webhook)),
            )

    def find_key(self, key_id: str) -> ApiKey | None:
        """See `OrderStore.find_key`."""
        with self._database.read() as transaction:
            rows = transaction.run(
                f"select {_COLUMNS} from api_keys where key_id = ?",
                key_id,
            )
        return _key(rows[0]) if rows else None

    def keys(self, owner: str | None = None) -> Sequence[ApiKey]:
        """See `OrderStore.keys`."""
        with self._database.read() as transaction:
            rows = transaction.run(
                f"select {_COLUMNS} from api_keys"
                f"{'' if owner is None else ' where owner = ?'} order by created_at desc, key_id",
                *([] if owner is None else [owner]),
            )
        return [_key(row) for row in rows]

    def revoke_key(self, key_id: str) -> bool:
        """See `OrderStore.revoke_key`."""
        with self._database.write() as transaction:
            revoked = transaction.run(
                "update api_keys set revoked_at = ? where key_id = ? and revoked_at is null"
                " returning key_id",
                transaction.now,
                key_id,
            )
        return bool(revoked)

    def touch_key(self, key_id: str, at: datetime) -> None:
        """See `OrderStore.touch_key`."""
        minute = milliseconds(at) // _MINUTE_MS * _MINUTE_MS
        with self._database.read() as transaction:
            rows = transaction.run(
                "select 1 from api_keys"
                " where key_id = ? and (last_used_at is null or last_used_at < ?)",
                key_id,
                minute,
            )
        if not rows:
            return
        with self._database.write() as transaction:
            transaction.run(
                "update api_keys set last_used_at = ?"
                " where key_id = ? and (last_used_at is null or last_used_at < ?)",
                minute,
                key_id,
                minute,
            )

    def webhook_secrets(self, owner: str) -> Sequence[str]:
        """See `OrderStore.webhook_secrets`."""
        with self._database.read() as transaction:
            valid = _valid_secrets(transaction, owner)
        if valid:
            return valid
        with self._database.write() as transaction:
            return _valid_secrets(transaction, owner) or [_add_secret(transaction, owner)]

    def rotate_webhook_secret(self, owner: str) -> str:
        """See `OrderStore.rotate_webhook_secret`."""
        with self._database.write() as transaction:
            # One former secret stays: with the new one there are two.
            transaction.run(
                "delete from webhook_secrets where owner = ? and until is not null", owner
            )
            transaction.run(
                "update webhook_secrets set until = ? where owner = ?",
                transaction.now + DAY_MS,
                owner,
            )
            return _add_secret(transaction, owner)


def default_webhook(transaction: Transaction, key_id: str) -> dict[str, Any]:
    """The webhook that orders made with a key have by default; empty for none."""
    rows = transaction.run("select webhook from api_keys where key_id = ?", key_id)
    return dict(json.loads(rows[0][0])) if rows else {}


def _valid_secrets(transaction: Transaction, owner: str) -> list[str]:
    rows = transaction.run(
        "select secret from webhook_secrets where owner = ? and (until is null or until > ?)"
        " order by number desc",
        owner,
        transaction.now,
    )
    return [secret for (secret,) in rows]


def _add_secret(transaction: Transaction, owner: str) -> str:
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    transaction.run(
        "insert into webhook_secrets (owner, number, secret, until)"
        " select ?, coalesce(max(number), 0) + 1, ?, null from webhook_secrets where owner = ?",
        owner,
        secret,
        owner,
    )
    return secret


def _key(row: Row) -> ApiKey:
    key_id, secret_sha256, owner, scopes, name, created_at, revoked_at, used_at, webhook = row
    return ApiKey(
        key_id=key_id,
        secret_sha256=secret_sha256,
        owner=owner,
        scopes=frozenset(scopes.split()),
        name=name,
        created_at=datetime_of(created_at),
        revoked_at=None if revoked_at is None else datetime_of(revoked_at),
        last_used_at=None if used_at is None else datetime_of(used_at),
        webhook=json.loads(webhook),
    )
