"""Source files stay short enough to be read in one go."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("sunriza_assets", "resources", "sunriza_assets_tests", "examples", "deploy", "docs")
SUFFIXES = {".py", ".html", ".sh"}
MAX_LINES = 400


def test_no_source_file_is_longer_than_four_hundred_lines() -> None:
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text("utf-8").splitlines())
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*")
        if file.suffix in SUFFIXES
    }
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}
