"""Settings: one typed object over the environment, wrong ones named, secrets never shown."""

import ast
from pathlib import Path

import pytest

from resources.settings import Settings, current_settings, describe_settings
from sunriza_assets.cli.settings import settings_page
from sunriza_assets.errors import ParameterError

ROOT = Path(__file__).parents[2]
MAY_TOUCH_THE_ENVIRONMENT = {
    "resources/settings.py": "reads the settings",
    "sunriza_assets/cli/settings.py": "shows their source",
    "sunriza_assets/cli/bench_rerender.py": "hands child processes their environment",
    "sunriza_assets/cli/deploy.py": "reads the home that it has just set",
    "sunriza_assets/platform/instance.py": "sets the homes for this process and its children",
    "sunriza_assets/platform/celery/worker.py": "sets CUDA's own variable",
    "sunriza_assets/platform/dev.py": "sets a switch of Dagster",
    "sunriza_assets/operations/lost_runs.py": "hands a child process its environment",
    "sunriza_assets/runs/queue_runner.py": "reads the home that the instance has just set",
    "sunriza_assets/runs/worker_pool.py": "hands workers their environment, with a GPU's number",
    "sunriza_assets/service/bench/render.py": "hands child processes their environment",
    "sunriza_assets/studio/speech/voices/xtts.py": "tells torch to unpickle nothing",
    "sunriza_assets/service/monitor/exposition.py": "reads prometheus_client's own variable",
    "sunriza_assets/service/monitor/shared_files.py": "sets prometheus_client's own variable",
    "sunriza_assets/service/parts.py": "sets the home for this process and its children",
    "sunriza_assets/service/serve.py": "sets the home for this process and its children",
    "sunriza_assets/studio/face/onnx.py": "sets a switch of onnxruntime",
    "sunriza_assets/studio/face/runtime.py": "reads CUDA's own variable",
    "sunriza_assets/studio/bench/gpu/machine.py": "reports variables of CUDA and oneDNN",
    "sunriza_assets/studio/bench/gpu/runner.py": "hands child processes their environment",
    "sunriza_assets/studio/engines/liveportrait/arithmetic.py": "reads oneDNN's own variable",
    "sunriza_assets/studio/media/sandbox.py": "hands a child process some variables",
}


def test_without_variables_everything_has_its_default(tmp_path: Path) -> None:
    settings = Settings.from_environment({})
    assert (settings.store, settings.executor, settings.budget) == ("local", "in_process", None)
    assert settings.home == Path("data").absolute()


def test_every_wrong_setting_is_named_at_once_without_its_value() -> None:
    wrong = {
        "SUNRIZA_STORE": "floppy",
        "SUNRIZA_BUDGET": "-3",
        "SUNRIZA_EXECUTOR": "hamsters",
        "SUNRIZA_MEDIA_URL": "ftp://hidden",
    }
    with pytest.raises(ParameterError) as caught:
        Settings.from_environment(wrong)
    assert caught.value.code == "parameter.setting"
    assert all(name in caught.value.message for name in wrong)
    assert not any(value in caught.value.message for value in ("floppy", "hamsters", "hidden"))


@pytest.mark.parametrize("amount", ["nan", "inf", "-0.01", "a lot"])
def test_a_budget_is_an_amount(amount: str) -> None:
    with pytest.raises(ParameterError, match="SUNRIZA_BUDGET"):
        Settings.from_environment({"SUNRIZA_BUDGET": amount})


def test_the_list_shows_what_is_wrong_and_where_from() -> None:
    shown = {
        one.name: one for one in describe_settings({"SUNRIZA_STORE": "x", "SUNRIZA_HOME": "/h"})
    }
    assert shown["SUNRIZA_STORE"].problem == "input should be 'local' or 'firebase'"
    assert shown["SUNRIZA_HOME"].problem is None
    assert (shown["SUNRIZA_HOME"].source, shown["SUNRIZA_BUDGET"].source) == (
        "environment",
        "default",
    )


def test_an_empty_variable_is_not_set() -> None:
    assert Settings.from_environment({"SUNRIZA_STORE": "", "SUNRIZA_MODELS": ""}).models is None


def test_hosts_are_split_and_trimmed() -> None:
    environment = {"SUNRIZA_ALLOWED_HOSTS": " a.example, ,B.example "}
    assert Settings.from_environment(environment).allowed_hosts == ("a.example", "b.example")


def test_no_secret_is_shown_by_any_view() -> None:
    secret = "-".join(("hunter2", "very", "private"))
    environment = {
        "FIREBASE_CREDENTIALS": secret,
        "SUNRIZA_CELERY_BROKER": f"redis://u:{secret}@h",
        "SUNRIZA_POSTGRES_URL": f"postgresql+psycopg2://u:{secret}@h/d",
    }
    settings = Settings.from_environment(environment)
    shown = [str(one) for one in describe_settings(environment)]
    assert secret not in " ".join(
        [repr(settings), str(settings), settings.model_dump_json(), *shown]
    )


def test_a_changed_variable_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "one"))
    first = current_settings()
    assert current_settings() is first
    monkeypatch.setenv("SUNRIZA_HOME", str(tmp_path / "two"))
    assert current_settings().home == tmp_path / "two"


def test_the_page_is_what_the_settings_say() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert page == settings_page(list(describe_settings({})))


def test_nothing_else_reads_the_environment() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for folder in ("sunriza_assets", "resources")
        for path in (ROOT / folder).rglob("*.py")
        if any(
            isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
        )
    }
    assert readers == set(MAY_TOUCH_THE_ENVIRONMENT)
