"""The launchpad over GraphQL: what it is scaffolded with, what it refuses, what changes nothing."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import dagster as dg
import pytest
import yaml
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.schema import create_schema

from sunriza_assets.graph.config import (
    IDLE_CONFIG,
    TEMPLATE_CONFIG,
    TRIM_CONFIG,
    launchpad_config,
    run_overrides,
)
from sunriza_assets.graph.jobs import AVATAR_DYNAMICS, RERENDER
from sunriza_assets.studio.parameters import CHOICES, DEFAULTS, RANGES, RenderParameters
from sunriza_assets_tests.graph.conftest import Installation

ASSETS: Final = {"idle_video": IDLE_CONFIG, "motion_template": TEMPLATE_CONFIG,
                 "trimmed_video": TRIM_CONFIG}  # fmt: skip
LOCATION: Final = "sunriza"
VALID: Final = """query($s: PipelineSelector!, $c: RunConfigData!) {
  isPipelineConfigValid(pipeline: $s, runConfigData: $c, mode: "default") {
    __typename ... on RunConfigValidationInvalid { errors { message } } } }"""
LAUNCH: Final = """mutation($p: ExecutionParams!) { launchPipelineExecution(executionParams: $p) {
    __typename ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } } ... on PythonError { message } } }"""
SCHEMA: Final = """query($s: PipelineSelector!) { runConfigSchemaOrError(selector: $s) {
    ... on RunConfigSchema { rootDefaultYaml allConfigTypes { __typename
      ... on EnumConfigType { givenName values { value } }
      ... on CompositeConfigType { fields { name description } } } } } }"""

Ask = Callable[[str, dict[str, Any]], Any]


@pytest.fixture(scope="module")
def instance(installation: Installation) -> dg.DagsterInstance:
    """The installation's own instance: a second home would change the environment under it."""
    installation.instance.add_dynamic_partitions("avatars", ["ada"])
    return installation.instance


@pytest.fixture(scope="module")
def ask(instance: dg.DagsterInstance) -> Iterator[Ask]:
    """GraphQL as the webserver answers it, with the code location in a server of its own."""
    schema = create_schema()
    target = ModuleTarget(
        module_name="sunriza_assets.definitions",
        attribute="defs",
        working_directory=str(Path(__file__).parents[2]),
        location_name=LOCATION,
    )
    with WorkspaceProcessContext(instance, target) as workspace:

        def answer(query: str, variables: dict[str, Any]) -> Any:
            context = workspace.create_request_context()
            result = asyncio.run(
                schema.execute_async(query, context_value=context, variable_values=variables)
            )
            assert not result.errors, result.errors
            return result.data

        yield answer


def selector(job: str = AVATAR_DYNAMICS.name) -> dict[str, str]:
    return {
        "repositoryLocationName": LOCATION,
        "repositoryName": "__repository__",
        "pipelineName": job,
    }


def said(**idle: Any) -> str:
    return json.dumps({"ops": {"idle_video": {"config": idle}}})


def launched(ask: Ask, run_config: str) -> dict[str, Any]:
    tags = [{"key": "dagster/partition", "value": "ada"}]
    params = {"selector": selector(), "runConfigData": run_config, "mode": "default",
              "executionMetadata": {"tags": tags}}  # fmt: skip
    answer: dict[str, Any] = ask(LAUNCH, {"p": params})["launchPipelineExecution"]
    return answer


def scaffold(ask: Ask, job: str = AVATAR_DYNAMICS.name) -> dict[str, Any]:
    text = ask(SCHEMA, {"s": selector(job)})["runConfigSchemaOrError"]["rootDefaultYaml"]
    ops: dict[str, Any] = yaml.safe_load(text)["ops"]
    return {asset: entry["config"] for asset, entry in ops.items()}


class TestScaffold:
    def test_it_shows_every_parameter_with_its_default(self, ask: Ask) -> None:
        shown = scaffold(ask)
        assert {asset: set(config) for asset, config in shown.items()} == {
            asset: set(schema) for asset, schema in ASSETS.items()
        }
        named = {name for config in shown.values() for name in config} - {"force"}
        assert named == set(DEFAULTS.to_dict())
        for config in shown.values():
            for name, text in config.items():
                if name == "force":
                    assert text is False
                    continue
                word, _, default = text.partition(", else ")
                assert word == "document"
                asked = RenderParameters(**{name: default})
                assert getattr(asked, name) == getattr(DEFAULTS, name), name

    def test_a_rerender_shows_those_of_the_idle(self, ask: Ask) -> None:
        assert set(scaffold(ask, RERENDER.name)) == {"idle_video"}

    def test_every_parameter_says_what_it_means_and_may_be(self, ask: Ask) -> None:
        types = ask(SCHEMA, {"s": selector()})["runConfigSchemaOrError"]["allConfigTypes"]
        told = {
            field["name"]: field["description"]
            for kind in types
            if {"driving_multiplier", "max_seconds"} & {f["name"] for f in kind.get("fields", ())}
            for field in kind["fields"]
        }
        assert set(told) == set(DEFAULTS.to_dict())
        for name, description in told.items():
            assert len(description) > 40
            assert "Default: " in description, name
            if name in RANGES:
                assert f"{RANGES[name][0]:g} to {RANGES[name][1]:g}" in description
            for word in CHOICES.get(name, ()):
                assert word in description

    def test_words_are_completed(self, ask: Ask) -> None:
        types = ask(SCHEMA, {"s": selector()})["runConfigSchemaOrError"]["allConfigTypes"]
        words = {
            kind["givenName"].partition(",")[0]: [value["value"] for value in kind["values"]]
            for kind in types
            if kind["__typename"] == "EnumConfigType"
        }
        for name, choices in CHOICES.items():
            first, *others = words[name]
            assert first.startswith("document, else ")
            assert tuple(others) == choices

    def test_left_alone_it_says_nothing(self, ask: Ask) -> None:
        """A scaffold must not have the last word over a document's wish."""
        config = {"ops": {asset: {"config": said} for asset, said in scaffold(ask).items()}}
        assert run_overrides(config) == {"force": False}
        assert launched(ask, json.dumps(config))["__typename"] == "LaunchRunSuccess"


class TestRefusal:
    @pytest.mark.parametrize(
        ("wrong", "allowed"),
        [
            ({"emotion": "hapy"}, "neutral, happy, sad"),
            ({"engine": "gpu"}, "auto, mesh, liveportrait"),
            ({"lips": 1}, "clip, still"),
            ({"drivng_multiplier": 1.2}, "driving_multiplier"),
        ],
    )
    def test_a_wrong_word_is_refused_while_it_is_typed(
        self, ask: Ask, wrong: dict[str, Any], allowed: str
    ) -> None:
        answer = ask(VALID, {"s": selector(), "c": said(**wrong)})["isPipelineConfigValid"]
        assert answer["__typename"] == "RunConfigValidationInvalid"
        assert allowed in answer["errors"][0]["message"]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"driving_multiplier": 9}, "driving_multiplier is 9. Allowed: 0 to 3."),
            ({"driving_multiplier": "fast"}, "driving_multiplier is 'fast'. Allowed: 0 to 3."),
            ({"driving_multiplier": [1]}, "driving_multiplier is [1]. Allowed: 0 to 3."),
            ({"loop": "maybe"}, "loop is 'maybe'. Allowed: true or false."),
            ({"loop": 1}, "loop is 1. Allowed: true or false."),
            ({"fps": 0}, 'fps is 0. Allowed: "source" or 1 to 60.'),
            ({"stitching_retargeting_eyes_width": 600.5}, "a whole number, 256 to 4096"),
            ({"emotion": "hapy", "driving_multiplier": 9}, "neutral, happy"),
        ],
    )
    def test_nothing_wrong_is_launched(
        self, ask: Ask, instance: dg.DagsterInstance, wrong: dict[str, Any], message: str
    ) -> None:
        before = instance.get_runs_count()
        answer = launched(ask, said(**wrong))
        assert answer["__typename"] in ("PythonError", "RunConfigValidationInvalid")
        assert message in json.dumps(answer, ensure_ascii=False).replace('\\"', '"')
        assert instance.get_runs_count() == before, "no run comes of it"

    def test_what_is_right_is_launched(self, ask: Ask) -> None:
        right = {"driving_multiplier": 1.2, "emotion": "happy", "loop": False, "fps": 29.97}
        right |= {"lips": "document, else clip", "loop_seconds": "best", "denoise": None}
        assert launched(ask, said(**right))["__typename"] == "LaunchRunSuccess"


def test_three_layers_still_resolve(installation: Installation) -> None:
    """Default, document, launchpad: a scaffold that is left alone takes the document's word."""
    from sunriza_assets.cli.avatar import add_avatar

    add_avatar("layers", installation.sample.portrait, None, parameters={"emotion": "sad"})
    installation.instance.add_dynamic_partitions("avatars", ["layers"])
    job = installation.runs._job
    scaffolded = {
        "ops": {
            asset: {"config": {n: f.default_value for n, f in schema.items()}}
            for asset, schema in ASSETS.items()
        }
    }
    scaffolded["ops"]["idle_video"]["config"] |= {
        "stitching_retargeting_eyes_width": 256, "loop": False, "fps": 5
    }  # fmt: skip
    result = job.execute_in_process(
        run_config=scaffolded,
        instance=installation.instance,
        partition_key="layers",
        asset_selection=[
            dg.AssetKey(n)
            for n in ("hero_image", "hero_video", "trimmed_video", "motion_template", "idle_video")
        ],
    )
    (event,) = result.asset_materializations_for_node("idle_video")
    parameters = event.metadata["parameters"].value
    assert isinstance(parameters, dict)
    assert parameters["emotion"] == "sad", "the document's"
    assert parameters["fps"] == 5, "the launchpad's"
    assert parameters["driving_multiplier"] == 1.7, "the default"


def test_best_is_a_word_of_the_launchpad() -> None:
    """`--set loop_seconds=best` must win over a document's four seconds."""
    config = launchpad_config({"loop_seconds": None}, force=False, selected={"idle_video"})
    assert config["ops"]["idle_video"]["config"] == {"loop_seconds": "best"}
    assert run_overrides(config) == {"loop_seconds": "best"}


def test_documentation_and_schema_name_the_same_parameters() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    for name in IDLE_CONFIG | TRIM_CONFIG:
        assert f"`{name}`" in readme, name
