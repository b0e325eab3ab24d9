"""What the rules in `deploy/firebase` say agrees with what the code does.

Only Google's emulators can run rules (`npm test` in that folder does); this holds the names that
both sides use, and the promises that can be read off the text.
"""

import json
import re
from pathlib import Path

import pytest

from resources.publication import FILES, folder_of

FOLDER = Path(__file__).parents[2] / "deploy" / "firebase"


@pytest.fixture(params=["firestore.rules", "storage.rules"])
def rules(request: pytest.FixtureRequest) -> str:
    text = (FOLDER / request.param).read_text()
    return re.sub(r"//.*", "", text)


def test_they_are_version_two_and_closed_properly(rules: str) -> None:
    assert rules.startswith("rules_version = '2';")
    plain = re.sub(r"'[^']*'", "", rules)
    for left, right in ("{}", "()", "[]"):
        assert plain.count(left) == plain.count(right)


def test_nobody_may_do_everything(rules: str) -> None:
    assert not re.search(r"allow [^:;]*(write|create|update|delete)[^:;]*: if true", rules)
    assert not re.search(r"allow [^:;]*;", re.sub(r"allow [^;]*?: if[^;]*;", "", rules))
    assert "{document=**}" not in rules


def test_the_records_folder_is_shut() -> None:
    text = (FOLDER / "firestore.rules").read_text()
    assert re.search(r"match /server/\{record\} \{\s*allow read, write: if false;", text)
    assert "'server'" not in re.search(r"allow write: if collection in \[(.*?)\]", text, re.S)[1]


def test_published_files_are_out_of_clients_reach() -> None:
    text = (FOLDER / "storage.rules").read_text()
    assert folder_of("x") == "avatars/x/dynamics/basic"
    for grant in re.findall(r"allow (?:create|delete)[^;]*;", text):
        assert "dynamics" not in re.sub(r"//.*", "", grant)
    assert "50 * 1024 * 1024" in text
    types = {entry.content_type for entry in FILES.values()}
    assert {"image/jpeg", "image/png", "video/mp4"} < types


def test_the_other_files_are_valid() -> None:
    indexes = json.loads((FOLDER / "firestore.indexes.json").read_text())
    assert [entry["collectionGroup"] for entry in indexes["indexes"]] == ["avatars"]
    configuration = json.loads((FOLDER / "firebase.json").read_text())
    for name in (
        configuration["firestore"]["rules"],
        configuration["firestore"]["indexes"],
        configuration["storage"]["rules"],
    ):
        assert (FOLDER / name).is_file()
