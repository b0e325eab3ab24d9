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
    Within a round those come first whose owner was served longest ago. Starting the first one
    leaves the order of all others as it was.
    """
    rounds: Counter[tuple[Kind, str]] = Counter()
    turns: list[tuple[int, int, int, int, T]] = []
    for one in sorted(waiting, key=lambda one: one.number):
        place = rounds[one.kind, one.owner]
        rounds[one.kind, one.owner] += 1
        turns.append((_RANKS[one.kind], place, one.served, one.number, one.what))
    turns.sort(key=lambda turn: turn[:4])
    return [what for *_, what in turns]
