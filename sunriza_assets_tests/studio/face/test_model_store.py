"""The model store: what counts as present, what a pull does, what it refuses."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.face import model_store
from sunriza_assets.studio.face.catalog import ModelSpec, WheelSpec, catalog
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.wheel import fetch_wheel, read_members

NAME = "face_landmark"


@pytest.fixture
def copy(models_root: Path, tmp_path: Path) -> ModelStore:
    """A models folder of the test's own."""
    shutil.copytree(models_root / "face", tmp_path / "face")
    return ModelStore(tmp_path)


def is_present(store: ModelStore, name: str) -> bool:
    return next(entry.present for entry in store.entries() if entry.name == name)


def test_every_model_of_the_catalogue_is_there_after_a_pull(copy: ModelStore) -> None:
    assert copy.pull() == []
    for name in catalog().models:
        assert copy.path(name).is_file()
    assert all(entry.present and entry.licence == "Apache-2.0" for entry in copy.entries())


def test_a_missing_model_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="sunriza models pull") as caught:
        ModelStore(tmp_path).path(NAME)
    assert caught.value.code == "model.missing"
    assert not any(entry.present for entry in ModelStore(tmp_path).entries())
    assert list(tmp_path.iterdir()) == []  # looking makes no folders


def test_an_unknown_model_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=NAME):
        ModelStore(tmp_path).path("../../etc/passwd")


def test_a_pull_killed_before_the_record_leaves_nothing_present(copy: ModelStore) -> None:
    copy.path(NAME).with_suffix(".json").unlink()
    assert not is_present(copy, NAME)


def test_a_truncated_graph_is_not_present(copy: ModelStore) -> None:
    path = copy.path(NAME)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelError, match="damaged"):
        copy.path(NAME)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null"])
def test_a_damaged_record_is_not_trusted(copy: ModelStore, text: str) -> None:
    copy.path(NAME).with_suffix(".json").write_text(text)
    assert not is_present(copy, NAME)


def test_graphs_of_another_converter_are_made_anew(
    copy: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = copy.identity(NAME)
    monkeypatch.setattr(model_store, "CONVERTER_VERSION", "next")
    assert not is_present(copy, NAME)
    assert copy.identity(NAME) != before


def test_records_tell_the_licence_and_the_origin(copy: ModelStore) -> None:
    record = json.loads(copy.path(NAME).with_suffix(".json").read_text())
    assert record["licence"] == "Apache-2.0"
    assert "MediaPipe" in record["attribution"]
    assert record["source_sha256"] == catalog().models[NAME].sha256


def test_without_an_index_a_pull_says_what_to_do(tmp_path: Path) -> None:
    empty = tmp_path / "nothing"
    empty.mkdir()
    with pytest.raises(ModelError, match="sunriza models pull") as caught:
        ModelStore(tmp_path / "models").pull(source=empty)
    assert caught.value.code == "model.fetch"
    left = [path.name for path in (tmp_path / "models" / "face").iterdir()]
    assert left == [".lock"]


def test_a_foreign_wheel_is_refused(tmp_path: Path) -> None:
    index = tmp_path / "index"
    index.mkdir()
    info = "mediapipe-0.10.21.dist-info"
    with zipfile.ZipFile(index / catalog().wheel.file, "w") as archive:
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-any\n")
        archive.writestr(f"{info}/RECORD", "")
    with pytest.raises(ModelError, match="foreign") as caught:
        fetch_wheel(catalog().wheel, tmp_path, index)
    assert caught.value.code == "model.foreign"


@pytest.mark.parametrize("data", [b"", b"right size, wrong", b"and another size"])
def test_a_foreign_member_is_refused(tmp_path: Path, data: bytes) -> None:
    spec = ModelSpec("x", "", "a/x.tflite", "0" * 64, len(b"right size, wrong"), {}, {})
    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        if data:
            archive.writestr(spec.member, data)
    with pytest.raises(ModelError):
        read_members(wheel, [spec])


def test_a_full_disk_is_a_named_error(tmp_path: Path) -> None:
    (tmp_path / "face").write_text("a file where the folder should be")
    with pytest.raises(ModelError, match="SUNRIZA_MODELS"):
        ModelStore(tmp_path).pull()


def test_a_requirement_is_pinned_to_the_file_it_names() -> None:
    wheel: WheelSpec = catalog().wheel
    name, version = wheel.requirement.split("==")
    assert wheel.file.startswith(f"{name}-{version}-")
    assert len(wheel.sha256) == 64


@pytest.mark.slow
def test_two_processes_may_pull_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from sunriza_assets.studio.face.model_store import ModelStore;"
        "print(len(ModelStore(Path(sys.argv[1])).pull()))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    made = sorted(int(process.communicate(timeout=600)[0]) for process in both)
    assert made == [0, len(catalog().models)]
    assert ModelStore(tmp_path).pull() == []
