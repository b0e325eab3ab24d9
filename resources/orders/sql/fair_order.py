"""In which order waiting orders are started."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from resources.orders.order import KIND_ORDER, Kind

__all__ = ["Waiting", "fair_order"]

T = TypeVar("T")
_RANKS: Final = {kind: rank for rank, kind in enumerate(KIND_ORDER)}


@dataclass(frozen=True, slots=True)
class Waiting(Generic[T]):
    """One waiting order, as far as its turn depends on it."""

    what: T
    """The order."""
    number: int
    """Grows with acceptance."""
    kind: Kind
    """Its kind."""
    owner: str
    """Whose it is."""
    served: int
    """Grows with each start of an order of this kind and owner; 0 before the first."""


def fair_order(waiting: Iterable[Waiting[T]]) -> Sequence[T]:
    """Waiting orders in the order of their turns: by kind, round robin over owners, by age.

    An owner's oldest order of a kind is in the first round, the next in the second, and so on.
    In every round owners come in the same order: who was served longest ago, then whose oldest
    order is older. So starting the first one leaves the order of all others as it was.
    """
    first: dict[tuple[Kind, str], int] = {}
    rounds: Counter[tuple[Kind, str]] = Counter()
    turns: list[tuple[tuple[int, int, int, int], T]] = []
    for one in sorted(waiting, key=lambda one: one.number):
        whose = (one.kind, one.owner)
        oldest = first.setdefault(whose, one.number)
        turns.append(((_RANKS[one.kind], rounds[whose], one.served, oldest), one.what))
        rounds[whose] += 1
    turns.sort(key=lambda turn: turn[0])
    return [what for _, what in turns]
