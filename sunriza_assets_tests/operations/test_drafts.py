"""Orders for drafts: a run of their own, and a document that does not notice."""

import dagster as dg
import pytest

from resources.stores import open_stores
from sunriza_assets.graph.partitions import AVATAR_TAG
from sunriza_assets.graph.tags import DRAFT_TAG, INPUTS_TAG
from sunriza_assets.operations.order_runs import Outcome, Work, adoptable_run
from sunriza_assets_tests.operations.conftest import Office, empty

DRAFT = {"publish": False, "parameters": {"drivingMultiplier": 1.2}}


def begun(office: Office, work: Work) -> dg.DagsterRun:
    """The run of a draft, which claims nothing."""
    return office.instance.create_run_for_job(
        empty,
        run_id=work.run_id,
        tags={**work.tags, AVATAR_TAG: work.avatar_id},
        status=dg.DagsterRunStatus.STARTED,
    )


def test_a_draft_gets_a_run_with_its_own_parameters(office: Office) -> None:
    order = office.order("ada", **DRAFT)
    before = open_stores().avatars.get("ada").data
    office.tick()
    [work] = office.runner.works
    assert work.is_draft
    assert work.parameters == {"driving_multiplier": 1.2}
    assert work.tags[DRAFT_TAG] == "true"
    assert INPUTS_TAG not in work.tags
    begun(office, work)
    avatars = open_stores().avatars
    avatars.begin_draft("ada", work.run_id, version="d000000-0000000a")
    avatars.finish_draft("ada", version="d000000-0000000a")
    office.runner.reports.append(Outcome(work.run_id, "ready"))
    office.tick()
    ended = office.get(order)
    assert ended.state == "done"
    assert (ended.result["version"], ended.result["draft"]) == ("d000000-0000000a", True)
    assert avatars.get("ada").data == before


def test_a_draft_is_not_taken_for_the_run_that_a_document_asks_for(office: Office) -> None:
    office.order("ada", **DRAFT)
    office.tick()
    begun(office, office.runner.works[0])
    document = open_stores().avatars.get("ada")
    assert adoptable_run(office.instance, document, force=False) is None


@pytest.mark.parametrize("outcome", ["error", "cancelled"])
def test_a_draft_that_fails_leaves_the_document_alone(office: Office, outcome: str) -> None:
    order = office.order("ada", **DRAFT)
    before = open_stores().avatars.get("ada").data
    office.tick()
    [work] = office.runner.works
    begun(office, work)
    failed = Outcome(work.run_id, outcome, code="face.none", message="No face.")
    office.runner.reports.append(failed)
    office.tick()
    assert office.get(order).status == "error"
    assert open_stores().avatars.get("ada").data == before


def test_a_draft_that_was_cancelled_while_it_waited_leaves_the_request(office: Office) -> None:
    order = office.order("ada", **DRAFT)
    office.store.request_cancel(order.order_id)
    office.tick()
    assert office.get(order).state == "cancelled"
    assert open_stores().avatars.get("ada").has_open_request
