"""The tables of an order store, in SQL that SQLite and Postgres both understand.

Times are whole milliseconds since 1970, UTC. Maps and lists are JSON text. A database tells which
version of these tables it has; `SCHEMA_VERSION` grows with every change of them, and
`MIGRATIONS` says what leads from each version to the next.
"""

from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["MIGRATIONS", "RATES", "SCHEMA_VERSION", "TABLES"]

_CONSENTS: Final[Sequence[str]] = (
    # What callers have declared of voices that are imitated. The sample itself is not kept.
    """create table consents (
        consent_id text primary key,
        owner text not null,
        sample_sha256 text not null,
        who text not null,
        given_on text not null,
        statement text not null,
        avatar_id text,
        at bigint not null
    )""",
    "create index consents_owner on consents (owner, at)",
    "create index consents_avatar on consents (avatar_id) where avatar_id is not null",
)

TABLES: Final[Sequence[str]] = (
    # The number of the newest change; its row is what writers of orders take turns at.
    "create table position (value bigint not null)",
    "insert into position values (0)",
    """create table orders (
        order_id text primary key,
        number bigint not null,
        changed bigint not null,
        kind text not null,
        owner text not null,
        state text not null,
        created_at bigint not null,
        inputs text not null,
        avatar_id text,
        inputs_version text,
        progress integer not null,
        step text,
        eta_s double precision,
        started_at bigint,
        finished_at bigint,
        expires_at bigint,
        revision bigint not null,
        run_id text,
        attempt integer not null,
        result text not null,
        error text,
        log_tail text not null,
        cost text,
        webhook text,
        retry_of text,
        request_id text,
        same_as text,
        check (progress between 0 and 100),
        check ((state in ('done', 'failed', 'cancelled', 'lost', 'expired'))
            = (finished_at is not null))
    )""",
    "create unique index orders_number on orders (number)",
    "create unique index orders_changed on orders (changed)",
    "create index orders_owner on orders (owner, number)",
    "create index orders_unfinished on orders (owner, number) where finished_at is null",
    "create index orders_same on orders (same_as) where finished_at is null",
    "create index orders_counted on orders (kind, state)",
    "create index orders_expiring on orders (expires_at) where expires_at is not null",
    # What an owner has had, even after the orders are removed: for the quota of a day.
    "create table acceptances (owner text not null, at bigint not null)",
    "create index acceptances_owner on acceptances (owner, at)",
    "create index acceptances_at on acceptances (at)",
    # The change at which an order of this owner and kind was last started: for the round robin.
    "create table turns (owner text, kind text, served bigint not null, primary key (owner, kind))",
    """create table answers (
        owner text not null,
        route text not null,
        key text not null,
        fingerprint text not null,
        order_id text,
        status integer,
        body text,
        until bigint not null,
        primary key (owner, route, key)
    )""",
    "create index answers_order on answers (order_id) where order_id is not null",
    "create index answers_until on answers (until)",
    "create table accounts (owner text primary key, balance bigint not null)",
    """create table reservations (
        order_id text primary key,
        owner text not null,
        amount bigint not null,
        state text not null check (state in ('reserved', 'captured', 'returned')),
        at bigint not null
    )""",
    "create index reservations_at on reservations (at)",
    """create table notices (
        notice_id text primary key,
        order_id text not null,
        owner text not null,
        channel text not null,
        target text not null,
        event text not null,
        body text not null,
        due_at bigint not null,
        tries integer not null,
        state text not null check (state in ('waiting', 'delivered', 'failed')),
        unique (order_id, channel, event)
    )""",
    "create index notices_due on notices (due_at) where state = 'waiting'",
    """create table deliveries (
        order_id text not null,
        number integer not null,
        notice_id text not null,
        event text not null,
        at bigint not null,
        status integer,
        ms integer not null,
        outcome text not null,
        primary key (order_id, number)
    )""",
    """create table api_keys (
        key_id text primary key,
        secret_sha256 text not null,
        owner text not null,
        scopes text not null,
        name text not null,
        created_at bigint not null,
        revoked_at bigint,
        last_used_at bigint,
        webhook text not null
    )""",
    "create index api_keys_owner on api_keys (owner)",
    """create table webhook_secrets (
        owner text not null,
        number bigint not null,
        secret text not null,
        until bigint,
        primary key (owner, number)
    )""",
    """create table outputs (
        name text primary key,
        owner text not null,
        order_id text,
        expires_at bigint not null
    )""",
    "create index outputs_expiring on outputs (expires_at)",
    "create index outputs_order on outputs (order_id) where order_id is not null",
    """create table leases (
        name text primary key,
        holder text not null,
        renewed_at bigint not null,
        until bigint not null
    )""",
    "create table probes (name text primary key, at bigint not null)",
    *_CONSENTS,
)
"""What makes an empty database one of version `SCHEMA_VERSION`."""

RATES: Final = """create table rates (
        principal text not null,
        name text not null,
        tat bigint not null,
        primary key (principal, name)
    )"""
"""Theoretical arrival times in nanoseconds; see `limits.py`. Kept where no write is synced."""

SCHEMA_VERSION: Final = 2
"""Version of `TABLES`."""

MIGRATIONS: Final[Mapping[int, Sequence[str]]] = {1: _CONSENTS}
"""By version: the statements that lead from it to the next one."""
