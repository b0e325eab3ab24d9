"""Weight files: both layouts are read, what is wrong is named, a pull is whole or goes on."""

import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.engines.liveportrait import pulling, weights
from sunriza_assets.studio.engines.liveportrait.checkpoints import read_state, read_states
from sunriza_assets.studio.engines.liveportrait.manifest import manifest
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.pulling import pull_weights
from sunriza_assets.studio.engines.liveportrait.seeded import seeded_state
from sunriza_assets.studio.engines.liveportrait.weights import (
    WEIGHT_FILES,
    landmarker_path,
    recorded_hashes,
    weight_entries,
    weight_path,
    weights_present,
)
from sunriza_assets_tests.servers.hub import COMMIT, Hub, serve_hub

COMMAND = "sunriza models pull liveportrait"
SMALL = tuple(
    file
    for file in WEIGHT_FILES
    if file.name in ("appearance_feature_extractor", "stitching_retargeting_module")
)
"""The two files that are small enough to be moved around in tests: 3.4 and 0.9 MB."""


def _retargeting() -> dict[str, Any]:
    """As published: three state dicts, keys wrapped by data-parallel training, and more."""
    groups = {"stitching": "retarget_shoulder", "lip": "retarget_mouth", "eye": "retarget_eye"}
    return {
        group: {f"module.{key}": value for key, value in seeded_state(net).items()}
        for net, group in groups.items()
    } | {"epoch": 7}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the hub's repository, as far as the small files go."""
    root = tmp_path_factory.mktemp("published")
    for file, content in zip(
        SMALL, (seeded_state("appearance_feature_extractor"), _retargeting()), strict=True
    ):
        (root / file.path).parent.mkdir(parents=True)
        torch.save(content, root / file.path)
    return root


@pytest.fixture
def only_small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WEIGHT_FILES", SMALL)
    monkeypatch.setattr(pulling, "WEIGHT_FILES", SMALL)


def _same(state: Any, wanted: dict[str, Tensor]) -> bool:
    return set(state) == set(wanted) and all(torch.equal(state[k], wanted[k]) for k in wanted)


def test_the_published_layout_is_read(published: Path) -> None:
    for file in SMALL:
        states = read_states(published / file.path, file.nets)
        for net in file.nets:
            assert _same(states[net], seeded_state(net))


def test_safetensors_are_read_and_half_precision_is_widened(tmp_path: Path) -> None:
    flat = {
        f"{group}.{key}": value.half()
        for group, state in _retargeting().items()
        if isinstance(state, dict)
        for key, value in state.items()
    }
    save_file(flat, tmp_path / "all.safetensors")
    states = read_states(tmp_path / "all.safetensors", ("stitching", "eye", "lip"))
    for net, state in states.items():
        wanted = {key: value.half().float() for key, value in seeded_state(net).items()}
        assert _same(state, wanted)


def _without(state: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name != key}


def test_a_foreign_file_is_named_with_what_is_wrong(tmp_path: Path) -> None:
    net = "appearance_feature_extractor"
    state = seeded_state(net)
    path = tmp_path / f"{net}.pth"
    for content, word in (
        (_without(state, "second.bias"), "1 missing (first: second.bias)"),
        (state | {"third.bias": torch.zeros(3)}, "1 unknown (first: third.bias)"),
        (state | {"second.bias": torch.zeros(511)}, "1 of another shape (first: second.bias)"),
        ({"state_dict": state}, "107 missing"),
        ([1, 2], "107 missing"),
        (seeded_state("stitching"), "8 unknown"),
    ):
        torch.save(content, path)
        with pytest.raises(ModelError) as caught:
            read_states(path, (net,))
        assert caught.value.code == "model.foreign"
        assert word in str(caught.value)
        assert str(path) in str(caught.value)
        assert COMMAND in str(caught.value)


class _Payload:
    def __reduce__(self) -> Any:
        return os.system, ("touch pwned",)


def test_nothing_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "appearance_feature_extractor.pth"
    torch.save({"first.conv.weight": _Payload()}, path)
    for content in (path.read_bytes(), pickle.dumps(_Payload(), protocol=2)):
        path.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            read_states(path, ("appearance_feature_extractor",))
        assert caught.value.code == "model.damaged"
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_is_named(published: Path, tmp_path: Path, suffix: str) -> None:
    whole = (published / SMALL[0].path).read_bytes()
    for content in (b"", b"not a model", whole[: len(whole) // 2], whole[1000:]):
        path = tmp_path / f"appearance_feature_extractor{suffix}"
        path.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            read_states(path, ("appearance_feature_extractor",))
        assert caught.value.code == "model.damaged"
        assert COMMAND in str(caught.value)


def test_missing_weights_are_named_with_the_command_that_gets_them(tmp_path: Path) -> None:
    assert not weights_present(tmp_path)
    for net in manifest():
        with pytest.raises(ModelError) as caught:
            weight_path(tmp_path, net)
        assert COMMAND in str(caught.value)
        assert str(tmp_path) in str(caught.value)
    with pytest.raises(ModelError):
        Modules.load(tmp_path)
    assert [entry.present for entry in weight_entries(tmp_path)] == [False] * 5


@pytest.mark.usefixtures("only_small_files")
@pytest.mark.parametrize("flat", [False, True])
def test_pulling_from_a_folder(published: Path, tmp_path: Path, flat: bool) -> None:
    source, root = published, tmp_path / "models"
    if flat:
        source = tmp_path / "flat"
        source.mkdir()
        for file in SMALL:
            (source / file.path.name).symlink_to(published / file.path)
        (source / "landmark.onnx").write_bytes(b"onnx")
    done = list(pull_weights(root, source=source))
    assert len(done) == 2 + flat
    assert weights_present(root)
    assert (landmarker_path(root) is not None) == flat
    assert _same(read_state(root, "eye"), seeded_state("eye"))
    for file in SMALL:
        digest = hashlib.sha256((published / file.path).read_bytes()).hexdigest()
        assert recorded_hashes(root)[file.path.as_posix()] == digest
    assert all(entry.present and len(entry.sha256) == 64 for entry in weight_entries(root))
    assert list(pull_weights(root, source=source)) == []
    assert not list(root.rglob("*.part"))


@pytest.mark.usefixtures("only_small_files")
def test_what_has_changed_since_the_pull_is_refused(published: Path, tmp_path: Path) -> None:
    list(pull_weights(tmp_path, source=published))
    state = seeded_state("appearance_feature_extractor")
    state["second.bias"][3] += 1
    torch.save(state, tmp_path / SMALL[0].path)
    with pytest.raises(ModelError, match="not the one that was pulled") as caught:
        read_state(tmp_path, "appearance_feature_extractor")
    assert COMMAND in str(caught.value)


@pytest.mark.usefixtures("only_small_files")
def test_nothing_foreign_is_copied(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "models"
    source.mkdir()
    torch.save(seeded_state("eye"), source / SMALL[0].path.name)
    with pytest.raises(ModelError):
        list(pull_weights(root, source=source))
    assert not weights_present(root)
    assert not list(root.rglob("*.pth"))


@pytest.fixture
def hub(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("hub")
    (root / "KwaiVGI").mkdir()
    (root / "KwaiVGI" / "LivePortrait").symlink_to(published)
    with serve_hub(root) as running:
        yield running


@pytest.mark.usefixtures("only_small_files")
def test_pulling_from_the_hub(tmp_path: Path, hub: Hub) -> None:
    done = list(pull_weights(tmp_path, endpoint=hub.address))
    assert [line.split(":")[0] for line in done] == [file.name for file in SMALL]
    assert weights_present(tmp_path)
    record = json.loads((tmp_path / "liveportrait" / "weights.json").read_text())
    assert record["revision"] == COMMIT
    assert list(pull_weights(tmp_path, endpoint=hub.address)) == []
    assert len(hub.requested) == 2


@pytest.mark.usefixtures("only_small_files")
def test_a_download_that_was_cut_off_goes_on(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1 << 17)
    hub.cut_after = 1_200_000
    list(pull_weights(tmp_path, endpoint=hub.address))
    assert weights_present(tmp_path)
    starts = [
        int(requested.split()[-1])
        for requested in hub.requested
        if requested.startswith("appearance")
    ]
    assert len(starts) == 3
    assert starts[0] < 1_000_000 < starts[1] < 2_000_000 < starts[2]


@pytest.mark.usefixtures("only_small_files")
def test_no_hub_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        list(pull_weights(tmp_path, endpoint="http://127.0.0.1:9"))
    assert caught.value.code == "model.unreachable"
    assert "--from DIR" in str(caught.value)
    assert not weights_present(tmp_path)


def test_looking_for_weights_needs_no_torch() -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from sunriza_assets.studio.engines.liveportrait.weights import *;"
        "weights_present(Path('/nowhere')); weight_entries(Path('/nowhere'));"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
