"""The service under test; each test begins without avatars and jobs of its own."""

from collections.abc import Iterator

import pytest

from sunriza_assets_tests.service.jobs.world import World, world


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A service that wants to know who calls."""
    with world(
        tmp_path_factory.mktemp("home"),
        SUNRIZA_JOBS_PER_MINUTE="1000",
        SUNRIZA_UNFINISHED_JOBS="100",
        SUNRIZA_JOBS_PER_DAY="1000",
    ) as one:
        yield one
