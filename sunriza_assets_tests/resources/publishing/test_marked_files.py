"""Published files carry a mark each, and equal content keeps it."""

import hashlib
from pathlib import Path

import pytest
from PIL import Image

from resources.marking import current_marker, installation_roots, signing_key
from resources.publishing.marked_files import (
    Former,
    MarkedFiles,
    are_marked_as_wanted,
    mark_of,
)
from resources.speech.marks import speech_mark
from sunriza_assets.costs.manifest import FileFact, file_fact
from sunriza_assets.errors import StoreError
from sunriza_assets.studio.marks.key import rotate_key
from sunriza_assets.studio.marks.mark import Mark, Source
from sunriza_assets.studio.marks.reading import read_mark_in_process
from sunriza_assets_tests.studio.media.films import picture

PORTRAIT = FileFact("hero_image", "ab" * 32, 10)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """What a run has made."""
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "home"))
    for name in ("SUNRIZA_MARKS", "SUNRIZA_SIGNING_KEY", "SUNRIZA_SIGNING_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    made = {name: tmp_path / "made" / name for name in ("atlas.jpg", "mask.png", "roi.json")}
    (tmp_path / "made").mkdir()
    for number, path in enumerate(made.values()):
        if path.suffix == ".json":
            path.write_bytes(b"{}")
        else:
            Image.fromarray(picture(number)).save(path)
    return made


def mark_for(name: str) -> Mark:
    return mark_of(name, "mesh", "12", [PORTRAIT])


def marked(files: dict[str, Path], folder: Path, former: Former | None = None) -> MarkedFiles:
    return MarkedFiles(files, mark_for, lambda: former or Former(), folder)


def published(done: MarkedFiles) -> Former:
    return Former({fact.name: fact for fact in done.facts}, lambda name: done.paths[name])


def test_what_can_bear_a_mark_gets_one_and_its_facts_are_those_of_the_published_file(
    files: dict[str, Path], tmp_path: Path
) -> None:
    done = marked(files, tmp_path / "a")
    facts = {fact.name: fact for fact in done.facts}
    roots = installation_roots().decode()
    for name, path in done.paths.items():
        fact = facts[name]
        assert (fact.sha256, fact.size) == (file_fact(path).sha256, path.stat().st_size)
        if name == "roi.json":
            assert (path, fact.mark) == (files[name], None)
            continue
        assert fact.mark is not None
        assert fact.mark.content == file_fact(files[name]).sha256
        assert fact.mark.md5 == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        found = read_mark_in_process(path, roots=roots)
        assert (found.state, found.own) == ("valid", True)
        assert found.inputs == (("hero_image", "ab" * 32),)
    assert are_marked_as_wanted(done.facts)


def test_equal_content_keeps_its_mark_and_changed_content_gets_a_new_one(
    files: dict[str, Path], tmp_path: Path
) -> None:
    first = marked(files, tmp_path / "a")
    before = {name: path.read_bytes() for name, path in first.paths.items()}
    Image.fromarray(picture(9)).save(files["mask.png"])
    second = marked(files, tmp_path / "b", published(first))
    after = {name: path.read_bytes() for name, path in second.paths.items()}
    assert {name for name in files if before[name] != after[name]} == {"mask.png"}
    assert second.facts[0] == first.facts[0]
    anew = marked(files, tmp_path / "c").paths
    assert anew["atlas.jpg"].read_bytes() != before["atlas.jpg"], "the control: signatures differ"


@pytest.mark.parametrize("change", ["key", "inputs", "damage", "gone", "marks off"])
def test_a_mark_is_not_used_again_where_it_would_be_wrong(
    files: dict[str, Path], tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = marked(files, tmp_path / "a")
    former, said = published(first), mark_for
    before = first.paths["atlas.jpg"].read_bytes()
    if change == "key":
        rotate_key(tmp_path / "home" / "keys")
    if change == "inputs":
        said = lambda name: Mark(Source.COMPOSITE, "1", name)  # noqa: E731
    if change == "damage":
        first.paths["atlas.jpg"].write_bytes(before[:-1] + b"\0")
    if change == "gone":

        def gone(name: str) -> Path:
            raise StoreError("There is no such object", where=name)

        former = Former(former.facts, gone)
    if change == "marks off":
        monkeypatch.setenv("SUNRIZA_MARKS", "off")
    second = MarkedFiles(files, said, lambda: former, tmp_path / "b")
    after = second.paths["atlas.jpg"].read_bytes()
    assert after != before
    assert (after == files["atlas.jpg"].read_bytes()) == (change == "marks off")


def test_a_run_elsewhere_finds_that_it_would_publish_the_same(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = marked(files, tmp_path / "a")
    stored = {
        name: hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        for name, path in done.paths.items()
    }
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "another machine"))
    assert marked(files, tmp_path / "b").published_md5(done.facts) == stored
    assert not (tmp_path / "another machine").exists(), "nothing was signed for it"
    assert marked(dict(list(files.items())[1:]), tmp_path / "c").published_md5(done.facts) is None
    plain = [file_fact(path, name) for name, path in files.items()]
    assert marked(files, tmp_path / "c").published_md5(plain) is None, "it has no marks"
    monkeypatch.setenv("SUNRIZA_MARKS", "off")
    assert marked(files, tmp_path / "c").published_md5(done.facts) is None
    assert marked(files, tmp_path / "c").published_md5(plain) is not None
    assert not are_marked_as_wanted(done.facts)
    files["roi.json"].write_bytes(b"[]")
    assert marked(files, tmp_path / "d").published_md5(plain) is None


def test_what_learned_engines_make_is_named_as_such() -> None:
    assert speech_mark("espeak", "1", "ab" * 32, "").source is Source.ALGORITHM
    imitated = speech_mark("pocket", "1", "ab" * 32, "cd" * 32)
    assert imitated.source is Source.TRAINED
    assert imitated.inputs == (("text", "ab" * 32), ("reference", "cd" * 32))
    assert mark_of("idle.mp4", "liveportrait", "1", []).source is Source.COMPOSITE_TRAINED
    assert mark_of("idle.mp4", "mesh", "1", []).source is Source.COMPOSITE
    assert mark_of("mask.png", "liveportrait", "1", []).source is Source.ALGORITHM


def test_the_marker_follows_a_new_key(files: dict[str, Path], tmp_path: Path) -> None:
    first = current_marker()
    rotate_key(tmp_path / "home" / "keys")
    second = current_marker()
    assert first is not None
    assert second is not None
    assert first.key != second.key == signing_key()
