"""Documents: all on the map, every link leads somewhere, the generated ones are up to date."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]
)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target, anchor in LINK.findall(text):
        if "://" in target:
            continue
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor and file.suffix == ".md":
            assert anchor[1:] in anchors_of(file), f"{page.name} links to {target}{anchor}"


def test_every_document_is_on_the_map() -> None:
    linked = {
        target for target, _ in LINK.findall((ROOT / "docs" / "README.md").read_text("utf-8"))
    }
    there = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert there <= linked


def test_the_architecture_page_is_what_the_imports_say() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    assert page == _script("draw_architecture").page(), "run `make docs`"


def test_the_page_of_the_api_is_what_its_routes_say() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert page == _script("write_api").page(), "run `make docs`"


def _script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
