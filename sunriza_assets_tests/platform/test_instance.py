"""The Dagster instance below a home: what keeps it from being opened is named."""

from pathlib import Path

import pytest

from resources.home import Home
from sunriza_assets.errors import StoreError
from sunriza_assets.platform.instance import prepare_instance


def test_a_setting_that_dagsters_file_wants_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv("NOT_SET_ANYWHERE", raising=False)
    (tmp_path / "dagster.yaml").write_text(
        "storage: {sqlite: {base_dir: {env: NOT_SET_ANYWHERE}}}\n", "utf-8"
    )
    with pytest.raises(StoreError) as refused:
        prepare_instance(Home(tmp_path / "home"))
    assert refused.value.code == "store.settings"
    assert "NOT_SET_ANYWHERE is not set" in refused.value.message
    assert "\n" not in refused.value.message
