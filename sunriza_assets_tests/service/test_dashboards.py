"""`deploy/monitoring`: rules and dashboards name metrics, labels and pages that are there."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sunriza_assets_tests.service.serving import make_service, serving
from sunriza_assets_tests.test_docs import anchors_of

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
METRIC = re.compile(r"\b(?:sunriza|liveportrait)_[a-z_]+")
SERIES = re.compile(r"\b((?:sunriza|liveportrait)_[a-z_]+)(?:\{([^}]*)\})?")
OF_HISTOGRAMS = ("_bucket", "_sum", "_count")


def expressions() -> Iterator[tuple[str, str]]:
    """(where, expression) of all rules and panels."""
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        yield rule["alert"], rule["expr"]
    for file in (MONITORING / "grafana" / "dashboards").glob("*.json"):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}", target["expr"]


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Name -> type of every metric in the live `/metrics`."""
    service = make_service(tmp_path_factory.mktemp("home"))
    with serving(service) as served, served.client() as client:
        text = client.get("/metrics").text
    service.orders.close()
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_every_metric_is_found_in_the_live_metrics(
    exposed: dict[str, str], where: str, expression: str
) -> None:
    names = METRIC.findall(expression)
    assert names, where
    for name in names:
        family = next((name.removesuffix(end) for end in OF_HISTOGRAMS if name.endswith(end)), name)
        if family != name:
            assert exposed.get(family) == "histogram", name
        else:
            assert name in exposed, name


@pytest.mark.parametrize(("where", "expression"), list(expressions()))
def test_expressions_are_balanced_and_use_known_labels(where: str, expression: str) -> None:
    from sunriza_assets.service.monitor.metrics import REGISTRY

    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing), where
    labels = {
        f"{collector._name}{end}": set(collector._labelnames)
        for collector in REGISTRY._collector_to_names
        for end in ("", "_total", *OF_HISTOGRAMS)
    }
    labels["sunriza_jobs"] = {"kind", "status"}
    for name, selector in SERIES.findall(expression):
        used = set(re.findall(r"(\w+)\s*[=!]~?", selector))
        assert used <= labels.get(name, set()), (where, name)


def test_each_alert_says_whom_it_wakes_and_what_to_do() -> None:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    assert {rule["alert"] for rule in rules} == {
        "NoEngineReady", "ServerErrors", "JobsWait", "JobsFail", "PicturesAreSlow", "WebhooksFail",
        "DiskAlmostFull", "NoDispatcher", "CostOfADay",
    }  # fmt: skip
    anchors = anchors_of(ROOT / "docs" / "operations.md")
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket")
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/operations.md"
        assert anchor in anchors, rule["alert"]


def test_prometheus_reads_the_rules_and_grafana_its_dashboards() -> None:
    prometheus = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    assert [(MONITORING / name).exists() for name in prometheus["rule_files"]] == [True]
    compose = yaml.safe_load((ROOT / "deploy" / "celery" / "compose.yaml").read_text())
    (targets,) = (one["targets"] for one in prometheus["scrape_configs"][0]["static_configs"])
    assert {target.partition(":")[0] for target in targets} <= compose["services"].keys()
    provisioning = MONITORING / "grafana" / "provisioning"
    sources: Any = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())
    known = {source["uid"] for source in sources["datasources"]}
    for file in (MONITORING / "grafana" / "dashboards").glob("*.json"):
        board = json.loads(file.read_text())
        assert {panel["datasource"]["uid"] for panel in board["panels"]} <= known
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers)
