"""The template file: what goes in comes out, equal templates are equal files, hostile ones fail."""

import io
import json
import pickle
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sunriza_assets.errors import MediaError, StoreError
from sunriza_assets.studio.motion import template
from sunriza_assets.studio.motion.template import MotionTemplate


def make_template(**changes: Any) -> MotionTemplate:
    defaults: dict[str, Any] = {
        "engine": "mesh",
        "engine_version": "1",
        "rate": Fraction(30000, 1001),
        "frame_count": 3,
        "source_sha256": "0" * 64,
        "neutral_frame": 1,
        "arrays": {
            "rotation": np.arange(9, dtype=np.float32).reshape(3, 3),
            "expression": np.full((3, 468, 3), 0.25, dtype=np.float16),
            "texture": np.arange(3 * 4 * 5 * 3, dtype=np.uint8).reshape(3, 4, 5, 3),
            "usable": np.array([True, False, True]),
        },
        "facts": {"gaps_filled": 1, "note": "größer"},
    }
    return MotionTemplate(**(defaults | changes))


def rewritten(path: Path, **members: bytes | None) -> Path:
    """The same zip with members replaced (bytes) or left out (None)."""
    with zipfile.ZipFile(path) as archive:
        content: dict[str, bytes] = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in content.items():
            replacement = members.get(name.split(".")[0], raw)
            if replacement is not None:
                archive.writestr(name, replacement)
    return path


def with_header(path: Path, **changes: Any) -> Path:
    with zipfile.ZipFile(path) as archive:
        header = json.loads(archive.read("header.json"))
    return rewritten(path, header=json.dumps(header | changes).encode())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "motion.npz"
    make_template().save(path)
    return path


def test_round_trip_is_exact(saved: Path) -> None:
    made, back = make_template(), MotionTemplate.load(saved)
    assert back.rate == Fraction(30000, 1001)
    assert back.facts == made.facts
    assert (back.neutral_frame, back.frame_count) == (1, 3)
    assert back.duration_s == pytest.approx(0.1001)
    assert set(back.arrays) == set(made.arrays)
    for name, array in made.arrays.items():
        assert back.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(back.arrays[name], array)


@given(
    array=hnp.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.uint8, np.int32, np.bool_]),
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=5),
    )
)
def test_any_array_survives(tmp_path_factory: pytest.TempPathFactory, array: Any) -> None:
    path = tmp_path_factory.mktemp("any") / "motion.npz"
    make_template(arrays={"a": array}).save(path)
    np.testing.assert_array_equal(MotionTemplate.load(path).arrays["a"], array)


def test_equal_templates_are_equal_files(saved: Path, tmp_path: Path) -> None:
    made = make_template()
    again = tmp_path / "again.npz"
    make_template(arrays=dict(reversed(made.arrays.items()))).save(again)
    assert again.read_bytes() == saved.read_bytes()


def test_numpy_reads_the_arrays_without_pickle(saved: Path) -> None:
    with np.load(saved, allow_pickle=False) as archive:
        assert archive["rotation"].shape == (3, 3)


def test_an_unwritable_place_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Cannot write"):
        make_template().save(tmp_path / "missing" / "motion.npz")


def test_a_failed_save_leaves_the_old_file_and_nothing_else(saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        make_template(facts={"seam": float("inf")}).save(saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(saved: Path, share: float) -> None:
    raw = saved.read_bytes()
    saved.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(MediaError) as caught:
        MotionTemplate.load(saved)
    assert caught.value.code == "media.template"
    assert "--force" in caught.value.message


def test_every_damaged_byte_is_noticed_or_harmless(saved: Path) -> None:
    raw, made = saved.read_bytes(), make_template()
    for place in range(0, len(raw), 97):
        saved.write_bytes(raw[:place] + bytes([raw[place] ^ 0x55]) + raw[place + 1 :])
        try:
            back = MotionTemplate.load(saved)
        except MediaError:
            continue
        for name, array in made.arrays.items():
            np.testing.assert_array_equal(back.arrays[name], array)


class _Canary:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was executed",))


def test_a_pickle_is_never_opened(saved: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([_Canary()], dtype=object), allow_pickle=True)
    for raw in (buffer.getvalue(), pickle.dumps(_Canary())):
        with pytest.raises(MediaError):
            MotionTemplate.load(rewritten(saved, rotation=raw))
    with pytest.raises(MediaError, match="dtype object"):
        make_template(arrays={"a": np.array([None])})


def test_an_array_that_claims_to_be_huge_is_refused(saved: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 3)}
    )
    rewritten(saved, rotation=buffer.getvalue())
    arrays = {"rotation": {"shape": [10**12, 3], "dtype": "float32"}}
    with pytest.raises(MediaError, match="cut short"):
        MotionTemplate.load(with_header(saved, arrays=arrays))


def test_a_zip_bomb_is_refused_unopened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template, "MAX_BYTES", 1 << 22)
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("header.json", "w") as member,
    ):
        for _ in range(5):
            member.write(b" " * (1 << 20))
    assert path.stat().st_size < 20_000
    with pytest.raises(MediaError, match="unpacks to"):
        MotionTemplate.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"rate": [30, 0]},
        {"rate": [-30, 1]},
        {"rate": "fast"},
        {"frame_count": 0},
        {"neutral_frame": 3},
        {"source_sha256": "../../etc"},
        {"arrays": {"rotation": {"shape": [1], "dtype": "float32"}}},
        {"arrays": {"missing": {"shape": [1], "dtype": "float32"}}},
        {"arrays": ["rotation"]},
        {"facts": 7},
    ],
)
def test_a_header_that_lies_is_refused(saved: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(MediaError):
        MotionTemplate.load(with_header(saved, **changes))


@pytest.mark.parametrize("header", [b"", b"[]", b"{}", b"[" * 100_000, b"\xff"])
def test_a_header_that_is_none_is_refused(saved: Path, header: bytes) -> None:
    with pytest.raises(MediaError):
        MotionTemplate.load(rewritten(saved, header=header))
