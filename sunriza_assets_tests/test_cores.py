"""The cores that a process may keep busy: what affinity leaves, and no more than the quota."""

import os
from pathlib import Path

import pytest

from sunriza_assets.cores import core_count

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("max 100000", ALL),
        ("100000 100000", 1),
        ("50000 100000", 1),
        ("150000 100000", min(2, ALL)),
        ("99900000 100000", ALL),
        ("nonsense", ALL),
    ],
)
def test_a_quota(tmp_path: Path, quota: str, cores: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota + "\n")
    assert core_count(file) == cores


def test_no_quota(tmp_path: Path) -> None:
    assert core_count(tmp_path / "cpu.max") == ALL
