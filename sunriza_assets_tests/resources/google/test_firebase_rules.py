"""What the rules in `deploy/firebase` say agrees with what the code does.

Only Google's emulators can run rules (`npm test` in that folder does); this holds the names that
both sides use, and the promises that can be read off the text. Which ones only an emulator can hold
is said in `docs/firebase.md`.
"""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from resources.avatars.record import RunRecord
from resources.publishing.publication import FILES, folder_of

FOLDER = Path(__file__).parents[3] / "deploy" / "firebase"


@pytest.fixture(params=["firestore.rules", "storage.rules"])
def rules(request: pytest.FixtureRequest) -> str:
    text = (FOLDER / request.param).read_text()
    return re.sub(r"//.*", "", text)


def test_they_are_version_two_and_closed_properly(rules: str) -> None:
    assert rules.startswith("rules_version = '2';")
    plain = re.sub(r"'[^']*'", "", rules)
    for left, right in ("{}", "()", "[]"):
        assert plain.count(left) == plain.count(right)


def test_no_rule_allows_everything(rules: str) -> None:
    assert not re.search(r"allow [^:;]*(write|create|update|delete)[^:;]*: if true", rules)
    assert not re.search(r"allow [^:;]*;", re.sub(r"allow [^;]*?: if[^;]*;", "", rules))
    assert "{document=**}" not in rules


def test_the_records_folder_is_shut() -> None:
    text = (FOLDER / "firestore.rules").read_text()
    assert re.search(r"match /server/\{record\} \{\s*allow read, write: if false;", text)
    assert "'server'" not in re.search(r"allow write: if collection in \[(.*?)\]", text, re.S)[1]


def body(name: str) -> str:
    """The body of a function of the Firestore rules, in one line."""
    text = re.sub(r"//.*", "", (FOLDER / "firestore.rules").read_text())
    found = re.search(rf"function {name}\([^)]*\) \{{(.*?)\n    \}}", text, re.S)
    assert found, name
    return " ".join(found[1].split())


def grant(what: str) -> str:
    """The conditions under which an avatar's document may be written, in one line."""
    text = re.sub(r"//.*", "", (FOLDER / "firestore.rules").read_text())
    found = re.search(rf"match /avatars/\{{avatarId\}} \{{.*?allow {what}: if (.*?);", text, re.S)
    assert found, what
    return " ".join(found[1].split())


def test_an_avatar_is_made_only_where_its_record_allows_it() -> None:
    """By the names that `RunRecord` is stored under; its path is a shut one."""
    assert "&& isFree(avatarId)" in grant("create")
    free = body("isFree")
    names = {entry.name for entry in fields(RunRecord)}
    assert set(re.findall(r"get\('(\w+)'", free)) == {"user_id", "purging"} <= names
    assert "avatars/$(avatarId)/server/basic" in free
    assert "retired_avatars" not in (FOLDER / "firestore.rules").read_text()


def test_who_asks_for_a_run_brings_something_new_or_waits() -> None:
    asks = body("asksForRun")
    for condition in ("'pending'", "isOverSince(was)", "bringsOtherFiles()"):
        assert condition in asks
    over = body("isOverSince")
    assert "['pending', 'generating']" in over
    assert "request.time > was.updatedAt + duration.value(1, 'm')" in over
    inputs = set(re.findall(r"get\('(\w+)', ''\)", body("bringsOtherFiles")))
    assert inputs == {"avatarImageUrl", "profileImageUrl", "heroImageUrl", "heroVideoUrl"}


def test_a_name_is_looked_at_whenever_a_document_is_written() -> None:
    assert "hasName(request.resource.data)" in grant("create")
    assert "keepsName()" in grant("update")
    assert body("keepsName").startswith("return hasName(request.resource.data) ||")


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
    assert {entry["collectionGroup"] for entry in indexes["indexes"]} == {"avatars"}
    configuration = json.loads((FOLDER / "firebase.json").read_text())
    for name in (
        configuration["firestore"]["rules"],
        configuration["firestore"]["indexes"],
        configuration["storage"]["rules"],
    ):
        assert (FOLDER / name).is_file()
