"""Who owns an avatar when runs are retried from where they failed."""

from types import SimpleNamespace
from typing import Any, cast

import dagster as dg
import pytest

from sunriza_assets.definitions import build_defs
from sunriza_assets.graph.assets.run_scope import publishes


@pytest.mark.parametrize(
    ("steps", "owns"),
    [
        (None, True),
        (["idle_video", "atlas", "mask", "roi", "published_avatar", "preview_page"], True),
        (["preview_page"], False),
    ],
)
def test_a_retry_owns_its_avatar_only_if_it_will_publish(
    steps: list[str] | None, owns: bool
) -> None:
    """A run killed after publishing was retried, claimed the avatar, and left it `generating`."""
    job = build_defs().resolve_job_def("avatar_dynamics")
    run = dg.DagsterRun(job_name=job.name, step_keys_to_execute=steps)
    assert publishes(cast("Any", SimpleNamespace(run=run, job_def=job))) is owns
