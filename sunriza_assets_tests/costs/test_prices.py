"""Price books: the documents' figures, strict reading, and never a zero for an unknown price."""

from pathlib import Path

import pytest

from sunriza_assets.costs.prices import cost_of, price_book, price_books
from sunriza_assets.costs.record import StepRecord
from sunriza_assets.errors import CostError

GIB = 1024**3


def step(seconds: float, device: str, kind: str = "cuda", **facts: float) -> StepRecord:
    return StepRecord(wall_s=seconds, device=device, device_kind=kind, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("book", "device", "kind", "hourly"),
    [
        ("perf-2025-10", "AMD EPYC 9B14", "cpu", 0.10),
        ("perf-2025-10", "Tesla T4", "cuda", 0.60),
        ("perf-2025-10", "NVIDIA A10G", "cuda", 1.50),
        ("perf-2025-10", "NVIDIA A100-SXM4-40GB", "cuda", 4.00),
        ("deployment-2025-01", "Apple M3", "cpu", 0.36),
        ("deployment-2025-01", "Tesla T4", "cuda", 2.88),
        ("deployment-2025-01", "NVIDIA A100 80GB PCIe", "cuda", 11.52),
        ("musetalk", "Tesla T4", "cuda", 1.62),
    ],
)
def test_the_documents_prices(book: str, device: str, kind: str, hourly: float) -> None:
    cost = cost_of(step(3600, device, kind), price_book(book))
    assert cost.amount == pytest.approx(hourly)
    assert cost.to_dict()["price_book"] == book


def test_the_documents_cost_per_request() -> None:
    cost = cost_of(step(70, "Tesla T4"), price_book())
    assert cost.book == "perf-2025-10"
    assert cost.amount == pytest.approx(0.0117, abs=5e-5)


@pytest.mark.parametrize(
    ("book", "device", "kind"),
    [
        ("perf-2025-10", "NVIDIA H200", "cuda"),
        ("perf-2025-10", "NVIDIA A10", "cuda"),  # an A10 is no A10G, nor the other way round
        ("deployment-2025-01", "NVIDIA A10G", "cuda"),
        ("musetalk", "AMD EPYC", "cpu"),
        ("perf-2025-10", "CPU of some GPU box", "cuda"),
    ],
)
def test_a_device_without_a_price_has_a_warning_and_no_cost(
    book: str, device: str, kind: str
) -> None:
    cost = cost_of(step(70, device, kind), price_book(book))
    assert cost.amount is None
    assert "cost" not in cost.to_dict()
    assert device in cost.to_dict()["cost_warning"]


def test_the_entry_with_the_most_words_wins() -> None:
    book = price_book("modal-2026")
    assert (book.find("NVIDIA A100-SXM4-80GB", "cuda") or ("",))[0] == "A100-80GB"
    assert (book.find("NVIDIA A100-SXM4-40GB", "cuda") or ("",))[0] == "A100-40GB"
    assert book.find("NVIDIA A100", "cuda") is None


def test_a_book_that_bills_cores_memory_and_traffic_apart() -> None:
    record = step(100, "Tesla T4", cpu_s=150, peak_memory_bytes=2 * GIB, egress_bytes=5e8)
    cost = cost_of(record, price_book("modal-2026"))
    assert cost.compute == pytest.approx(100 * 0.000164)
    assert cost.cores == pytest.approx(150 * 0.0000131)
    assert cost.memory == pytest.approx(200 * 0.00000222)
    assert cost.egress == pytest.approx(0.5 * 0.12)
    assert cost.amount == pytest.approx(0.0164 + 0.001965 + 0.000444 + 0.06)


def test_a_cost_with_an_unmeasured_part_is_empty() -> None:
    cost = cost_of(step(100, "Tesla T4", cpu_s=150), price_book("modal-2026"))
    assert cost.amount is None
    assert "memory" in "; ".join(cost.warnings)


def test_a_busy_machine_makes_a_step_slower_and_not_dearer() -> None:
    quiet = cost_of(step(10, "AMD EPYC", "cpu", cpu_s=12.5), price_book())
    busy = cost_of(step(230, "AMD EPYC", "cpu", cpu_s=12.5), price_book())
    assert quiet.amount == busy.amount == pytest.approx(12.5 * 0.10 / 3600)
    assert busy.seconds == 12.5


def test_an_accelerator_is_held_for_the_whole_wall_time() -> None:
    cost = cost_of(step(10, "Tesla T4", cpu_s=2.5), price_book())
    assert cost.amount == pytest.approx(10 * 0.60 / 3600)


def test_a_step_of_a_cpu_that_nobody_clocked_is_billed_by_the_wall() -> None:
    assert cost_of(step(10, "AMD EPYC", "cpu"), price_book()).seconds == 10


def test_storage_is_free_up_to_its_limit() -> None:
    book = price_book("deployment-2025-01")
    assert book.storage_month(10e9) == 0
    assert book.storage_month(12.5e9) == pytest.approx(0.25)
    assert price_book("perf-2025-10").storage_month(1e9) is None


def test_every_shipped_price_says_where_it_is_from() -> None:
    assert set(price_books()) >= {"perf-2025-10", "deployment-2025-01", "musetalk"}
    for book in price_books().values():
        assert all(price.source and price.valid_from for price in book.devices.values())


OWN = """
books:
  ours:
    currency: EUR
    valid_from: 2026-01-01
    devices: {RTX 4090: {price: 0.36, per: hour, source: an invoice}}
  other:
    currency: EUR
    valid_from: 2026-01-01
    devices: {}
"""


def test_an_own_file_stands_beside_the_shipped_books(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN)
    assert price_book(str(file)).name == "ours"
    assert price_book(f"{file}#other").name == "other"
    cost = cost_of(step(10, "NVIDIA GeForce RTX 4090"), price_book(f"{file}#ours"))
    assert (cost.amount, cost.currency) == (pytest.approx(0.001), "EUR")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("price: 0.36", "price: -1"),
        ("price: 0.36", "price: cheap"),
        ("price: 0.36", "price: .nan"),
        ("price: 0.36", "price: true"),
        ("per: hour", "per: fortnight"),
        ("per: hour", "per: gb"),
        ("source: an invoice", "sauce: tomato"),
        ("currency: EUR", "currency: euro"),
        ("valid_from: 2026-01-01", "valid_from: once"),
        ("books:", "prices:"),
        ("books:", "default: nobody\nbooks:"),
        ("books:", "{"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, old: str, new: str) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(OWN.replace(old, new))
    with pytest.raises(CostError) as caught:
        price_book(str(file))
    assert "own.yaml" in caught.value.message


def test_unknown_books_and_files_are_errors() -> None:
    with pytest.raises(CostError, match="perf-2025-10"):
        price_book("gold")
    with pytest.raises(CostError, match="cannot be read"):
        price_book("nowhere.yaml")
