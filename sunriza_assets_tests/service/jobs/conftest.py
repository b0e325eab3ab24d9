"""The service under test; each test begins without avatars and jobs."""

from collections.abc import Iterator

import pytest

from sunriza_assets_tests.service.jobs.world import World, world


@pytest.fixture(scope="package")
def _one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(
        tmp_path_factory.mktemp("home"),
        SUNRIZA_JOBS_PER_MINUTE="100000",
        SUNRIZA_READS_PER_MINUTE="100000",
        SUNRIZA_UNFINISHED_JOBS="100",
        SUNRIZA_JOBS_PER_DAY="1000",
    ) as one:
        yield one


@pytest.fixture
def served(_one_server: World) -> World:
    """A service that wants to know who calls."""
    _one_server.clear()
    return _one_server
