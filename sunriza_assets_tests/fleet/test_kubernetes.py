"""The Kubernetes Jobs that would be made, built offline from tags and the values file."""

from typing import Any

import dagster as dg
import pytest
import yaml

from sunriza_assets.definitions import build_defs
from sunriza_assets_tests.fleet.conftest import ROOT

GPU = "nvidia.com/gpu"
VALUES = ROOT / "deploy" / "k8s" / "values.yaml"


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs()


def step_manifest(defs: dg.Definitions, asset: str) -> dict[str, Any]:
    """The Job of one step under SUNRIZA_EXECUTOR=k8s."""
    from dagster_k8s.job import get_user_defined_k8s_config

    op = defs.resolve_asset_graph().get(dg.AssetKey(asset)).assets_def.op
    return manifest(get_user_defined_k8s_config(op.tags))


def run_manifest(defs: dg.Definitions, job: str | None) -> dict[str, Any]:
    """The Job of one run under the launcher of the values file; of no job: started in the UI."""
    from dagster_k8s.container_context import K8sContainerContext
    from dagster_k8s.job import UserDefinedDagsterK8sConfig, get_user_defined_k8s_config

    said = yaml.safe_load(VALUES.read_text())["runLauncher"]["config"]["k8sRunLauncher"]
    names = {
        "containerConfig": "container_config",
        "podSpecConfig": "pod_spec_config",
        "jobSpecConfig": "job_spec_config",
    }
    launcher = {names[name]: value for name, value in said["runK8sConfig"].items()}
    context = K8sContainerContext(run_k8s_config=UserDefinedDagsterK8sConfig.from_dict(launcher))
    if job is not None:
        tags = defs.resolve_job_def(job).tags
        config = get_user_defined_k8s_config(tags)
        context = context.merge(K8sContainerContext(run_k8s_config=config))
    return manifest(context.run_k8s_config)


def manifest(config: Any) -> dict[str, Any]:
    from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job
    from kubernetes.client import ApiClient

    job = construct_dagster_k8s_job(
        job_config=DagsterK8sJobConfig(job_image="sunriza-assets:test", dagster_home="/dagster"),
        args=["dagster", "api"],
        job_name="a-job",
        user_defined_k8s_config=config,
    )
    made: dict[str, Any] = ApiClient().sanitize_for_serialization(job)
    return made


def container(made: dict[str, Any]) -> dict[str, Any]:
    (only,) = made["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def limits(made: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = container(made)["resources"]["limits"]
    return found


@pytest.mark.parametrize("asset", ["motion_template", "idle_video"])
def test_a_gpu_step_gets_exactly_one_gpu(defs: dg.Definitions, asset: str) -> None:
    made = step_manifest(defs, asset)
    assert limits(made)[GPU] == "1"
    assert made["spec"]["backoffLimit"] == 0
    (toleration,) = made["spec"]["template"]["spec"]["tolerations"]
    assert toleration["key"] == GPU


@pytest.mark.parametrize("asset", ["hero_image", "trimmed_video", "atlas", "published_avatar"])
def test_a_cpu_step_holds_no_gpu(defs: dg.Definitions, asset: str) -> None:
    assert GPU not in limits(step_manifest(defs, asset))


def test_every_asset_says_where_it_may_run(defs: dg.Definitions) -> None:
    """Celery's queue and Kubernetes' limits stand side by side, and agree with the pool."""
    for asset in defs.resolve_asset_graph().assets_defs:
        for key in asset.keys:  # a check has none, and no tags
            queue = asset.op.tags["dagster-celery/queue"]
            assert queue == ("gpu" if asset.op.pool == "gpu" else "cpu"), key
            has_gpu = GPU in limits(step_manifest(defs, key.to_user_string()))
            assert has_gpu == (queue == "gpu"), key


@pytest.mark.parametrize("job", ["avatar_dynamics", "rerender", None])
def test_a_run_of_avatars_gets_one_gpu_however_it_was_started(
    defs: dg.Definitions, job: str | None
) -> None:
    made = run_manifest(defs, job)
    assert limits(made)[GPU] == "1"
    assert made["spec"]["template"]["spec"]["nodeSelector"]
    assert made["spec"]["backoffLimit"] == 0


def test_a_run_of_reports_holds_no_gpu_and_no_gpu_node(defs: dg.Definitions) -> None:
    made = run_manifest(defs, "refresh_reports")
    assert GPU not in limits(made)
    assert not made["spec"]["template"]["spec"].get("nodeSelector")
    assert not made["spec"]["template"]["spec"].get("tolerations")


def test_the_values_carry_the_settings_of_one_machine() -> None:
    """What was measured for `dagster.yaml` holds on Kubernetes, too."""
    values = yaml.safe_load(VALUES.read_text())
    daemon = values["dagsterDaemon"]
    assert daemon["runMonitoring"]["freeSlotsAfterRunEndSeconds"] > 0
    assert daemon["runMonitoring"]["maxResumeRunAttempts"] == 0
    assert daemon["runRetries"]["retryOnAssetOrOpFailure"] is False
    assert values["concurrency"]["pools"]["granularity"] == "op"


def test_the_manifests_of_workers_are_whole() -> None:
    documents = list(yaml.safe_load_all((ROOT / "deploy/k8s/workers.yaml").read_text()))
    assert [document["kind"] for document in documents] == ["ConfigMap", "Deployment"]
    pod = documents[1]["spec"]["template"]["spec"]
    (worker,) = pod["containers"]
    assert worker["resources"]["limits"][GPU] == "1"
    mounted = {mount["name"] for mount in worker["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}
    assert pod["securityContext"]["runAsNonRoot"] is True
