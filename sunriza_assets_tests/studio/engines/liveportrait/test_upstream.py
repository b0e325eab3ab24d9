"""Templates of the published code: read back whole, and never run."""

import io
import os
import pickle
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sunriza_assets.errors import EngineError, MediaError
from sunriza_assets.studio.engines.liveportrait.template import (
    build_template,
    motion_in,
    ratios_in,
)
from sunriza_assets.studio.engines.liveportrait.upstream import read_upstream, write_upstream
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets_tests.studio.engines.liveportrait import recorded

FRAMES = 6


def _arrays() -> dict[str, np.ndarray]:
    found = recorded.arrays("motion.npz")
    names = {"rotation": "R", "eyes": "c_eyes", "lip": "c_lip"}
    return {
        name: found[f"motion/drv_template/{names.get(name, name)}"]
        for name in ("scale", "rotation", "exp", "t", "kp", "eyes", "lip")
    }


def _template(frames: int = FRAMES) -> MotionTemplate:
    return build_template(
        {name: np.resize(array, (frames, *array.shape[1:])) for name, array in _arrays().items()},
        rate=Fraction(30000, 1001),
        source_sha256="0" * 64,
        neutral_frame=2,
        facts={},
    )


def _document(*, old_names: bool = False, ratios: bool = True) -> dict[str, Any]:
    """As the published code pickles it: dictionaries of small float32 arrays."""
    arrays = _arrays()
    rotation = "R_d" if old_names else "R"
    document: dict[str, Any] = {
        "n_frames": FRAMES,
        "output_fps": 25,
        "motion": [
            {
                "scale": arrays["scale"][i : i + 1],
                rotation: np.asfortranarray(arrays["rotation"][i : i + 1]),
                "exp": arrays["exp"][i : i + 1],
                "t": arrays["t"][i : i + 1],
            }
            for i in range(FRAMES)
        ],
    }
    if ratios:
        prefix = "c_d_" if old_names else "c_"
        document[f"{prefix}eyes_lst"] = [arrays["eyes"][i : i + 1] for i in range(FRAMES)]
        document[f"{prefix}lip_lst"] = [arrays["lip"][i : i + 1] for i in range(FRAMES)]
    return document


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "motion.pkl"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("old_names", [False, True])
@pytest.mark.parametrize("ratios", [False, True])
def test_reading(tmp_path: Path, protocol: int, old_names: bool, ratios: bool) -> None:
    document = _document(old_names=old_names, ratios=ratios)
    template = read_upstream(_written(tmp_path, pickle.dumps(document, protocol=protocol)))
    assert template.frame_count == FRAMES
    assert template.rate == 25
    for name in ("scale", "rotation", "exp", "t"):
        assert np.array_equal(template.arrays[name], _arrays()[name])
    assert (ratios_in(template) is not None) == ratios
    assert motion_in(template).kp.shape == (FRAMES, 21, 3)


def test_names_of_older_numpy_are_known(tmp_path: Path) -> None:
    content = pickle.dumps(_document(), protocol=4)
    new, old = b"numpy._core.multiarray", b"numpy.core.multiarray"
    assert content.count(b"\x8c" + bytes([len(new)]) + new) == 1
    as_old = content.replace(b"\x8c" + bytes([len(new)]) + new, b"\x8c" + bytes([len(old)]) + old)
    as_old = as_old.replace(content[2:11], content[2:3] + struct.pack("<Q", len(as_old) - 11), 1)
    template = read_upstream(_written(tmp_path, as_old))
    assert np.array_equal(template.arrays["exp"], _arrays()["exp"])


def test_what_we_write_we_read_and_so_does_pickle(tmp_path: Path) -> None:
    path = tmp_path / "out.pkl"
    write_upstream(_template(), path)
    back = read_upstream(path)
    assert back.rate == 30
    for name, array in _arrays().items():
        assert np.array_equal(back.arrays[name], array), name
    with path.open("rb") as file:
        document = pickle.load(file)  # noqa: S301 - written a line above
    assert document["n_frames"] == FRAMES
    assert set(document["motion"][0]) == {"scale", "R", "exp", "t", "kp", "x_s"}
    recorded_x = recorded.arrays("motion.npz")["motion/drv_template/x_s"]
    assert np.allclose(document["motion"][3]["x_s"], recorded_x[3:4], atol=1e-5)
    assert list(tmp_path.iterdir()) == [path]


class _Payload:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self._said = (call, arguments)

    def __reduce__(self) -> Any:
        return self._said


@pytest.mark.parametrize(
    "payload",
    [
        _Payload(os.system, "touch pwned"),
        _Payload(eval, "1"),
        _Payload(np.ndarray, (10**12,)),
        _Payload(np.load, "x"),
        _Payload(io.open, "pwned", "w"),
        _Payload(getattr, 1, "real"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_in_a_file_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, payload: _Payload, protocol: int
) -> None:
    monkeypatch.chdir(tmp_path)
    document = _document() | {"extra": payload}
    path = _written(tmp_path, pickle.dumps(document, protocol=protocol))
    with pytest.raises(MediaError) as caught:
        read_upstream(path)
    assert caught.value.code == "media.template"
    assert not (tmp_path / "pwned").exists()


def test_a_file_cannot_change_what_makes_arrays(tmp_path: Path) -> None:
    """BUILD on the stand-in itself: `c numpy dtype, {'_answer': None} b`."""
    path = _written(tmp_path, b"cnumpy\ndtype\n(dV_answer\nNsb.")
    with pytest.raises(MediaError, match="change"):
        read_upstream(path)
    template = read_upstream(_written(tmp_path, pickle.dumps(_document(), protocol=4)))
    assert template.frame_count == FRAMES


def _changed(**changes: Any) -> dict[str, Any]:
    return _document() | changes


def _with_frame(**changes: Any) -> dict[str, Any]:
    document = _document()
    document["motion"][1] |= changes
    return document


@pytest.mark.parametrize(
    "document",
    [
        [],
        None,
        {},
        _changed(n_frames=7),
        _changed(n_frames=0, motion=[]),
        _changed(n_frames="6"),
        _changed(motion="abc"),
        _changed(output_fps=None),
        _changed(output_fps=0),
        _changed(output_fps=float("nan")),
        _with_frame(exp=np.zeros((1, 20, 3), np.float32)),
        _with_frame(exp=np.zeros((1, 21, 3), np.int64)),
        _with_frame(exp=np.full((1, 21, 3), np.nan, np.float32)),
        _with_frame(exp=np.array([[None] * 63], dtype=object)),
        _with_frame(exp="x" * 252),
        _with_frame(scale=None),
    ],
)
def test_what_is_no_template_is_refused(tmp_path: Path, document: Any) -> None:
    with pytest.raises(MediaError) as caught:
        read_upstream(_written(tmp_path, pickle.dumps(document, protocol=4)))
    assert caught.value.code == "media.template"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_an_error_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(pickle.dumps(_document(), protocol=4))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(1, len(content)))
    path = _written(tmp_path_factory.mktemp("damaged"), bytes(content[:end]))
    try:
        template = read_upstream(path)
    except MediaError:
        return
    motion_in(template)


def test_a_template_takes_less_than_a_kilobyte_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "motion.npz"
    template = _template(300)
    rng = np.random.default_rng(0)
    noisy = {
        name: array + rng.normal(0, 1e-3, array.shape).astype(np.float32)
        for name, array in template.arrays.items()
    }
    build_template(
        noisy, rate=template.rate, source_sha256="0" * 64, neutral_frame=0, facts={}
    ).save(path)
    assert path.stat().st_size / 300 < 1000
    back = MotionTemplate.load(path)
    assert np.array_equal(motion_in(back).exp.numpy(), noisy["exp"])


def test_templates_of_others_and_of_other_shapes_are_refused() -> None:
    template = _template()
    foreign = MotionTemplate("mesh", "1", template.rate, FRAMES, "0" * 64, 0, template.arrays)
    with pytest.raises(EngineError, match="mesh"):
        motion_in(foreign)
    for name, array in (("exp", np.zeros((FRAMES, 20, 3), np.float32)), ("t", None)):
        arrays = {**template.arrays, name: array}
        if array is None:
            del arrays[name]
        odd = MotionTemplate("liveportrait", "1", template.rate, FRAMES, "0" * 64, 0, arrays)
        with pytest.raises(EngineError, match=name):
            motion_in(odd)
