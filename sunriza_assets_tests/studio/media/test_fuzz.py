"""A short run of the fuzzer finds nothing, and it does what it says."""

from pathlib import Path

from sunriza_assets_tests import fuzz_media


def test_a_few_seconds_of_damage_bring_only_named_errors(tmp_path: Path) -> None:
    counts, failures = fuzz_media.run(4, seed=7, kept=tmp_path / "kept")
    assert failures == []
    assert sum(counts.values()) > 20
    assert not (tmp_path / "kept").exists()


def test_mutants_follow_from_their_seed() -> None:
    pool = [bytes(range(256)) * 8, b"abc" * 900]
    assert fuzz_media.mutant(pool, 3) == fuzz_media.mutant(pool, 3)
    assert len({fuzz_media.mutant(pool, seed) for seed in range(60)}) > 50


def test_a_dying_batch_is_followed_by_the_public_functions(tmp_path: Path) -> None:
    (tmp_path / "mutant").write_bytes(b"#EXTM3U\n")
    assert fuzz_media.read_in_child(tmp_path / "mutant", tmp_path) == "media.unsupported"
