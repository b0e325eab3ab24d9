"""The service as `deploy/` starts it: compose, chart, health checks, static server."""

import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.settings import Settings
from sunriza_assets_tests.fleet.conftest import ROOT

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "k8s" / "service"
SETTINGS = {str(field.alias) for field in Settings.model_fields.values()}
FOREIGN = {"DAGSTER_HOME", "DAGSTER_PG_PASSWORD"}


def compose() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((DEPLOY / "celery" / "compose.yaml").read_text())
    return services["services"]  # type: ignore[no-any-return]


def test_compose_starts_api_engine_dispatcher_and_a_server_for_results() -> None:
    services = compose()
    parts = {name: service.get("command", [])[:4] for name, service in services.items()}
    for part in ("api", "engine", "dispatcher"):
        assert parts[part] == ["sunriza", "serve", "--only", part]
        settings = services[part]["environment"]
        assert settings.keys() <= SETTINGS
        assert settings["SUNRIZA_DISPATCH"] == "queue"
        assert settings["SUNRIZA_ORDERS_URL"].startswith("postgresql://")
        # The engine's socket and the pictures that it draws lie below the home.
        assert "home:/data" in services[part]["volumes"]
    assert services["results"]["volumes"][0] == "home:/data:ro"
    # Nothing is open to more than this machine.
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) >= 5
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert len({port.split(":")[1] for port in ports}) == len(ports)


def test_what_compose_mounts_is_there() -> None:
    folder = DEPLOY / "celery"
    mounted = [
        volume.split(":")[0]
        for service in compose().values()
        for volume in service.get("volumes", [])
        if volume.startswith(".")
    ]
    assert len(mounted) == 5
    for name in mounted:
        assert (folder / name).exists(), name


@pytest.mark.parametrize(
    ("path", "cache"),
    [
        ("/avatars/anna/dynamics/basic/v000001-49e5ed85/idle.mp4", "immutable"),
        ("/avatars/anna/dynamics/basic/v000001-49e5ed85/idle_chunks/idle_chunk1.mp4", "immutable"),
        ("/avatars/anna/dynamics/basic/idle.mp4", "no-cache"),
        ("/avatars/anna/dynamics/basic/idle_chunks/idle_chunk2.mp4", "no-cache"),
        ("/avatars/anna/images/portrait.jpg", None),
        ("/avatars/anna/videos/clip.mp4", None),
        ("/pipeline/anna/hero_image/run/hero_image.jpg", None),
        ("/cache/templates/x.json", None),
        ("/.objects/avatars/anna/dynamics/basic/idle.mp4.json", None),
        ("/avatars/.objects/dynamics/basic/idle.mp4", None),
        ("/avatars/anna/dynamics/basic/.hidden.mp4", None),
        ("/avatars/anna/dynamics/basic/v000001-49e5ed85/../../../../../x.mp4", None),
        ("/avatars/anna/b/dynamics/basic/idle.mp4", None),
    ],
)
def test_the_static_server_hands_out_publications_and_nothing_else(
    path: str, cache: str | None
) -> None:
    text = (DEPLOY / "celery" / "results.conf").read_text()
    locations = re.findall(r'location ~ "([^"\n]+)" \{(.*?)\n  \}', text, re.S)
    assert len(locations) == 2
    fitting = [body for pattern, body in locations if re.search(pattern, path)]
    assert bool(fitting) == (cache is not None)
    if cache is not None:
        assert cache in fitting[0]


def rendered(chart: Path, release: str) -> list[dict[str, Any]]:
    """A chart's manifests, by the three expressions of Helm that its template is written in."""
    values = yaml.safe_load((chart / "values.yaml").read_text())

    def value(path: str) -> Any:
        found: Any = {"Values": values, "Release": {"Name": release}}
        for name in path.strip(".").split("."):
            found = found[name]
        return found

    def block(match: re.Match[str]) -> str:
        text = yaml.safe_dump(value(match[1])).rstrip().split("\n")
        return "".join(f"\n{' ' * int(match[2])}{line}" for line in text)

    text = (chart / "templates" / "service.yaml").read_text()
    text = re.sub(r"\s*\{\{- toYaml (\S+) \| nindent (\d+) \}\}", block, text)
    text = re.sub(r"\{\{ (\.\S+) \}\}", lambda match: str(value(match[1])), text)
    assert "{{" not in text
    return list(yaml.safe_load_all(text))


@pytest.fixture(scope="module")
def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    made = rendered(CHART, "sunriza-service")
    return {(one["kind"], one["metadata"]["name"]): one for one in made}


def containers(manifest: Mapping[str, Any]) -> dict[str, Any]:
    return {one["name"]: one for one in manifest["spec"]["template"]["spec"]["containers"]}


def test_the_chart_makes_what_the_service_needs(
    manifests: dict[tuple[str, str], dict[str, Any]],
) -> None:
    assert set(manifests) == {
        ("ConfigMap", "sunriza-service"),
        ("Deployment", "sunriza-service-api"),
        ("Deployment", "sunriza-service-dispatcher"),
        ("Service", "sunriza-service"),
        ("PodDisruptionBudget", "sunriza-service-api"),
    }
    settings = manifests["ConfigMap", "sunriza-service"]["data"]
    assert settings.keys() <= SETTINGS | FOREIGN
    assert settings["SUNRIZA_AUTH"] == "required"
    assert {type(value) for value in settings.values()} == {str}
    service = manifests["Service", "sunriza-service"]
    pod = manifests["Deployment", "sunriza-service-api"]["spec"]["template"]
    assert service["spec"]["selector"] == pod["metadata"]["labels"]
    for kind, name in manifests:
        if kind == "Deployment":
            spec = manifests[kind, name]["spec"]
            assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
            assert spec["template"]["spec"]["securityContext"]["runAsUser"] == 10001


def test_probes_ask_each_container_for_itself(
    manifests: dict[tuple[str, str], dict[str, Any]],
) -> None:
    pods = {
        **containers(manifests["Deployment", "sunriza-service-api"]),
        **containers(manifests["Deployment", "sunriza-service-dispatcher"]),
    }
    assert set(pods) == {"api", "engine", "dispatcher"}
    for part, container in pods.items():
        assert container["args"][:4] == ["sunriza", "serve", "--only", part]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert "memory" in container["resources"]["limits"]
        if part == "api":
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                # Neither a cold engine nor a lost dispatcher may restart or hide the API.
                assert container[probe]["httpGet"]["path"] == "/health/live"
        else:
            command = container["livenessProbe"]["exec"]["command"]
            assert command == ["healthy", f"sunriza serve --only {part}"]
        assert (
            container["livenessProbe"]["timeoutSeconds"]
            < container["livenessProbe"]["periodSeconds"]
        )
    # Images of different charts and workers are of one version.
    tags = re.findall(r"sunriza-assets:(\S+)", (CHART / "values.yaml").read_text())
    workers = (DEPLOY / "k8s" / "workers.yaml").read_text()
    assert set(tags) == set(re.findall(r"sunriza-assets:(\S+)", workers))


def test_the_dispatcher_submits_runs_to_the_code_location_of_dagsters_chart(
    manifests: dict[tuple[str, str], dict[str, Any]],
) -> None:
    """It looks for dagster.yaml and workspace.yaml in DAGSTER_HOME; both are of Dagster's chart."""
    settings = manifests["ConfigMap", "sunriza-service"]["data"]
    pod = manifests["Deployment", "sunriza-service-dispatcher"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    maps = {one["name"]: one["configMap"]["name"] for one in pod["volumes"] if "configMap" in one}
    mounted = {
        mount["mountPath"]: (maps[mount["name"]], mount["subPath"])
        for mount in container["volumeMounts"]
        if mount["name"] in maps
    }
    home = settings["DAGSTER_HOME"]
    # The names that Dagster's chart gives its config maps, by its `fullnameOverride`.
    chart = yaml.safe_load((DEPLOY / "k8s" / "values.yaml").read_text())
    name = chart["global"]["fullnameOverride"]
    assert mounted == {
        f"{home}/dagster.yaml": (f"{name}-instance", "dagster.yaml"),
        f"{home}/workspace.yaml": (f"{name}-workspace-yaml", "workspace.yaml"),
    }
    assert settings["SUNRIZA_DISPATCH"] == "queue"
    assert chart["dagster-user-deployments"]["enabled"] is True
    for container in containers(manifests["Deployment", "sunriza-service-api"]).values():
        assert all(mount["name"] in ("models", "scratch") for mount in container["volumeMounts"])


def healthy(command: str, home: Path, **settings: str) -> bool:
    """What the image's health check says of a container that was started with this command."""
    programs = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    told = subprocess.run(
        ["sh", DEPLOY / "docker" / "healthy.sh", command],
        env={"PATH": programs, "SUNRIZA_HOME": str(home), **settings},
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return told.returncode == 0


def test_a_service_that_nobody_answers_for_is_unwell(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        assert not healthy("sunriza serve --only api", tmp_path, SUNRIZA_PORT=port)
        assert not healthy("sunriza serve --no-ui", tmp_path, SUNRIZA_PORT=port)
    assert not healthy("sunriza serve --only engine", tmp_path)
    assert not healthy("sunriza serve --only dispatcher", tmp_path)
