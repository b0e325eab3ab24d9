"""What steps say goes into the log of the worker, with the job's id."""

import io
import json

import dagster as dg
import pytest

from sunriza_assets.logs import configure_logging, lines_about
from sunriza_assets.runs.step_lines import LOGGED, with_step_lines


@dg.op
def says(context: dg.OpExecutionContext) -> None:
    context.log.info("drawn %d frames", 25)


@dg.op
def fails() -> None:
    raise ZeroDivisionError("a bug")


@dg.job
def both() -> None:
    says()
    fails()


@pytest.fixture
def stream():
    """What is logged."""
    stream = io.StringIO()
    configure_logging(stream)
    yield stream
    configure_logging()


def test_lines_of_steps_carry_the_job(stream: io.StringIO) -> None:
    job = with_step_lines(both)
    with lines_about(job_id="job_1", request_id="r"), dg.DagsterInstance.ephemeral() as instance:
        job.execute_in_process(dict(LOGGED), instance=instance, raise_on_error=False)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {(line["job_id"], line["request_id"]) for line in lines} == {("job_1", "r")}
    (said,) = (line for line in lines if line["event"] == "drawn 25 frames")
    assert (said["step"], said["level"]) == ("says", "info") and said["run_id"]
    assert any("ZeroDivisionError" in line.get("error", "") for line in lines)


def test_the_job_looks_as_before() -> None:
    assert with_step_lines(both).get_job_snapshot() == both.get_job_snapshot()
