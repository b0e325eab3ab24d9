"""Rate limits: the generic cell rate algorithm of ITU-T I.371 in its virtual scheduling form.

Each principal and limit has one number, the theoretical arrival time (TAT). A unit takes
T = period / count. A request of n units at time t is allowed if max(TAT, t) + n·T <= t + period;
its left side is the new TAT. Times are whole nanoseconds; n·T is rounded up.

A TAT beyond t + period was written before the clock was set back, since none is ever larger; it
counts as t + period.
"""

from typing import Final

from resources.orders.records import RateLimit, RateResult
from resources.orders.sql.parts import Part
from sunriza_assets.errors import ParameterError

__all__ = ["Limits"]

_NS: Final = 1_000_000_000


class Limits(Part):
    """`take`."""

    def take(self, principal: str, limit: RateLimit, units: int = 1) -> RateResult:
        """See `OrderStore.take`."""
        if units < 0:
            raise ParameterError("Fewer than no units cannot be used", where=limit.name)
        period = round(limit.period_s * _NS)
        cost = -(-units * period // limit.count)
        if units > limit.count:
            return RateResult(allowed=False, remaining=0, retry_after_s=limit.period_s)
        with self._database.rates() as transaction:
            now = transaction.now * 1_000_000
            rows = transaction.run(
                "insert into rates as r (principal, name, tat) values (?, ?, ?)"
                " on conflict (principal, name) do update set"
                " tat = case when r.tat < ? then ? else r.tat end + ? where r.tat <= ?"
                " returning tat",
                principal,
                limit.name,
                now + cost,
                now,
                now,
                cost,
                now + period - cost,
            )
            if rows:
                room = now + period - rows[0][0]
                return RateResult(True, room * limit.count // period, 0.0)
            transaction.run(
                "update rates set tat = ? where principal = ? and name = ? and tat > ?",
                now + period,
                principal,
                limit.name,
                now + period,
            )
            rows = transaction.run(
                "select tat from rates where principal = ? and name = ?", principal, limit.name
            )
        arrival = rows[0][0] if rows else now
        room = max(now + period - arrival, 0)
        return RateResult(
            allowed=False,
            remaining=room * limit.count // period,
            retry_after_s=max(arrival + cost - now - period, 0) / _NS,
        )
