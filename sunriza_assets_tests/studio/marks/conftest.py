"""One key for all tests of marks: making one takes a while."""

import pytest

from sunriza_assets.studio.marks.key import SigningKey, make_key


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return make_key()
