"""Price books, and what a step costs by one of them.

A book is data (`prices.yaml`, or a file of the operator's in the same form); this module reads it
strictly and multiplies. Which book applies is the caller's setting (SUNRIZA_PRICE_BOOK): nothing is
read from the environment here.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from sunriza_assets.costs.record import StepRecord
from sunriza_assets.errors import CostError, did_you_mean

__all__ = [
    "COST_FACTS",
    "CPU",
    "Cost",
    "Price",
    "PriceBook",
    "cost_of",
    "price_book",
    "price_books",
]

CPU: Final = "CPU"
"""The entry that prices every step without an accelerator."""

COST_FACTS: Final = (
    "cost",
    "cost_currency",
    "price_book",
    "price_device",
    "price",
    "price_per",
    "cost_warning",
)
"""Keys of `Cost.to_dict`."""

GIB: Final = 1024**3
GB: Final = 1000**3

# unit of an entry -> how many of the base unit (seconds, GiB seconds, GB) it buys
_UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "devices": {"second": 1.0, "hour": 3600.0},
    "cores": {"core-second": 1.0, "core-hour": 3600.0},
    "memory": {"gib-second": 1.0, "gib-hour": 3600.0},
    "storage": {"gb-month": 1.0},
    "egress": {"gb": 1.0},
}
_ENTRY_KEYS: Final = frozenset({"price", "per", "source", "valid_from", "free", "cores", "note"})
_BOOK_KEYS: Final = frozenset({"title", "currency", "valid_from", "source", *_UNITS})


@dataclass(frozen=True, slots=True)
class Price:
    """One entry of a book."""

    amount: float
    """In the book's currency, for one `per`; >= 0."""
    per: str
    """The unit it buys: second, hour, core-second, gib-hour, gb-month, gb…"""
    rate: float
    """The same for one base unit: second, core second, GiB second, GB."""
    source: str
    """Where the price is published."""
    valid_from: date
    """First day on which it applies."""
    free: float = 0.0
    """Amount in the base unit that costs nothing."""
    cores: int | None = None
    """Size of the machine that the price rents; for the reader only."""
    note: str | None = None
    """A remark for the reader."""

    def of(self, quantity: float) -> float:
        """Cost of `quantity` base units, less the free amount."""
        return max(0.0, quantity - self.free) * self.rate


@dataclass(frozen=True)
class PriceBook:
    """One consistent list of prices."""

    name: str
    """Name that is recorded with every cost."""
    title: str
    """Title for people."""
    currency: str
    """ISO 4217 code."""
    valid_from: date
    """First day on which the book applies."""
    source: str
    """Where the price is published."""
    devices: Mapping[str, Price]
    """Device -> price of holding it."""
    cores: Price | None = None
    """CPU seconds used, where they are billed apart."""
    memory: Price | None = None
    """Peak memory times seconds, where it is billed apart."""
    storage: Price | None = None
    """Stored GB and month."""
    egress: Price | None = None
    """GB that leave the provider's network."""

    def find(self, device: str, kind: str) -> tuple[str, Price] | None:
        """The entry for a device by its manufacturer's name, or None without a price for it.

        An entry fits when all its words occur in the name; the one with the most words wins. A
        name that is itself an entry (`T4`, in a what-if) is found whatever its kind.
        """
        if device in self.devices:
            return device, self.devices[device]
        if kind == "cpu":
            return (CPU, self.devices[CPU]) if CPU in self.devices else None
        words = _words(device)
        fitting = [key for key in self.devices if key != CPU and _words(key) <= words]
        best = max(fitting, key=lambda key: len(_words(key)), default=None)
        return None if best is None else (best, self.devices[best])

    def storage_month(self, size_bytes: float) -> float | None:
        """Cost of storing so many bytes for a month; None without a price for storage."""
        return None if self.storage is None else self.storage.of(size_bytes / GB)


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one step by one book, itemised."""

    book: str
    """Name of the price book."""
    currency: str
    """ISO 4217 code."""
    device: str | None
    """The book's entry for the step's device; None when there is none."""
    price: Price | None
    """That entry."""
    seconds: float
    """Seconds billed: wall time on an accelerator, CPU seconds on a CPU (`StepRecord.billed_s`)."""
    compute: float | None = None
    """Holding the device."""
    cores: float | None = None
    """CPU seconds, where the book bills them apart."""
    memory: float | None = None
    """Memory, where the book bills it apart."""
    egress: float | None = None
    """Traffic out, where the book bills it and the step measured it."""
    warnings: tuple[str, ...] = ()
    """Why the figure is empty, for the log and for the reader."""

    @property
    def amount(self) -> float | None:
        """The whole cost; None, not zero, when a part of it has no price."""
        if self.warnings or self.compute is None:
            return None
        return math.fsum(
            part for part in (self.compute, self.cores, self.memory, self.egress) if part
        )

    def to_dict(self) -> dict[str, Any]:
        """Flat JSON values to stand beside the step's record; what is unknown is left out."""
        values = (
            self.amount,
            self.currency,
            self.book,
            self.device,
            self.price and self.price.amount,
            self.price and self.price.per,
            "; ".join(self.warnings) or None,
        )
        flat = dict(zip(COST_FACTS, values, strict=True))
        return {key: value for key, value in flat.items() if value is not None}


def cost_of(record: StepRecord, book: PriceBook) -> Cost:
    """Price a step: its billed seconds on its device, and what else the book bills."""
    found = book.find(record.device, record.device_kind)
    warnings: list[str] = []
    if found is None:
        warnings.append(
            f"Price book {book.name} has no price for {record.device} ({record.device_kind})"
        )
    if book.cores is not None and record.cpu_s is None:
        warnings.append(f"Price book {book.name} bills CPU seconds, and none were measured")
    if book.memory is not None and record.peak_memory_bytes is None:
        warnings.append(f"Price book {book.name} bills memory, and none was measured")
    device, price = found or (None, None)
    return Cost(
        book=book.name,
        currency=book.currency,
        device=device,
        price=price,
        seconds=record.billed_s,
        compute=None if price is None else price.of(record.billed_s),
        cores=_priced(book.cores, record.cpu_s),
        memory=_priced(
            book.memory,
            None
            if record.peak_memory_bytes is None
            else record.peak_memory_bytes / GIB * record.wall_s,
        ),
        egress=_priced(
            book.egress, None if record.egress_bytes is None else record.egress_bytes / GB
        ),
        warnings=tuple(warnings),
    )


def price_book(wanted: str | None = None) -> PriceBook:
    """The book of a name; the default one for None or an empty name.

    Args:
        wanted: a name (`musetalk`), an own file (`prices.yaml`), or a book in one
            (`prices.yaml#ours`).

    Raises:
        CostError: there is no such book, or the file is not one.
    """
    file, _, name = (wanted or "").rpartition("#")
    if not file and name.endswith((".yaml", ".yml")):
        file, name = name, ""
    default, books = _read(Path(file)) if file else _bundled_file()
    name = name or default
    if name not in books:
        raise CostError(
            f"There is no price book {name!r}",
            where=file or None,
            remedy=did_you_mean(name, books)
            + f"Known are: {', '.join(books)}. An own file is named as FILE.yaml#BOOK.",
            code="price_book",
        )
    return books[name]


def price_books() -> Mapping[str, PriceBook]:
    """The books that come with this package, by name."""
    return _bundled_file()[1]


def _priced(price: Price | None, quantity: float | None) -> float | None:
    return None if price is None or quantity is None else price.of(quantity)


def _words(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", name.lower()))


@lru_cache(maxsize=1)
def _bundled_file() -> tuple[str, dict[str, PriceBook]]:
    packaged = resources.files("sunriza_assets.costs") / "prices.yaml"
    return _parse(packaged.read_text(encoding="utf-8"), "prices.yaml")


def _read(file: Path) -> tuple[str, dict[str, PriceBook]]:
    try:
        text = file.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CostError(
            "The price book cannot be read",
            where=file,
            remedy=f"{error.__class__.__name__}: name a readable YAML file.",
            code="price_book",
        ) from error
    return _parse(text, str(file))


def _parse(text: str, where: str) -> tuple[str, dict[str, PriceBook]]:
    import yaml

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _invalid("This is no YAML", where) from error
    if not isinstance(document, Mapping) or not isinstance(document.get("books"), Mapping):
        raise _invalid("A price file needs a map `books`", where)
    books = {str(name): _book(str(name), raw, where) for name, raw in document["books"].items()}
    default = str(document.get("default") or next(iter(books), ""))
    if default not in books:
        raise _invalid(f"The default book {default!r} is not in the file", where)
    return default, books


def _book(name: str, raw: object, where: str) -> PriceBook:
    place = f"{where}, book {name}"
    if not isinstance(raw, Mapping) or not isinstance(raw.get("devices"), Mapping):
        raise _invalid("A price book needs a map `devices`", place)
    if unknown := raw.keys() - _BOOK_KEYS:
        raise _invalid(f"Unknown keys {', '.join(sorted(map(str, unknown)))}", place)
    currency, valid_from = raw.get("currency"), raw.get("valid_from")
    if not isinstance(currency, str) or not re.fullmatch("[A-Z]{3}", currency):
        raise _invalid(f"currency is {currency!r}, not a code such as USD", place)
    if not isinstance(valid_from, date):
        raise _invalid(f"valid_from is {valid_from!r}, not a date", place)
    source = str(raw.get("source") or "not stated")
    entries = dict(_entries(raw, source, valid_from, place))
    extras = {kind: entries.get((kind, "")) for kind in _UNITS if kind != "devices"}
    return PriceBook(
        name=name,
        title=str(raw.get("title") or name),
        currency=currency,
        valid_from=valid_from,
        source=source,
        devices={key: price for (kind, key), price in entries.items() if kind == "devices"},
        **extras,
    )


def _entries(
    raw: Mapping[str, Any], source: str, valid_from: date, place: str
) -> Iterator[tuple[tuple[str, str], Price]]:
    """((kind, device name or ""), price) of everything that a book prices."""
    for key, entry in raw["devices"].items():
        yield ("devices", str(key)), _entry("devices", entry, source, valid_from, f"{place}, {key}")
    for kind in _UNITS:
        if kind != "devices" and raw.get(kind) is not None:
            yield (kind, ""), _entry(kind, raw[kind], source, valid_from, f"{place}, {kind}")


def _entry(kind: str, raw: object, source: str, valid_from: date, place: str) -> Price:
    if not isinstance(raw, Mapping):
        raise _invalid("A price is a map {price, per}", place)
    if unknown := raw.keys() - _ENTRY_KEYS:
        raise _invalid(f"Unknown keys {', '.join(sorted(map(str, unknown)))}", place)
    amount = _amount("price", raw.get("price"), place)
    units, per = _UNITS[kind], str(raw.get("per"))
    if per not in units:
        raise _invalid(f"per is {per!r}, not one of {', '.join(units)}", place)
    return Price(
        amount=amount,
        per=per,
        rate=amount / units[per],
        source=str(raw.get("source") or source),
        valid_from=raw.get("valid_from") or valid_from,
        free=_amount("free", raw.get("free", 0), place),
        cores=raw.get("cores"),
        note=raw.get("note"),
    )


def _amount(name: str, value: object, place: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    raise _invalid(f"{name} is {value!r}, not a number >= 0", place)


def _invalid(what: str, where: str) -> CostError:
    return CostError(what, where=where, remedy="See prices.yaml for the form.", code="price_book")
