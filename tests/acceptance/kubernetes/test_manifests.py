"""ops/kubernetes: valid by the schemas of several versions, and true of our programs: ports, settings, times."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import kubernetes_validate
import pytest
import yaml

from support.missing import missing
from support.paths import ROOT
from swapjobs.cli.command_table import MODULES
from swapjobs.settings import GatewaySettings, WorkerSettings, known_names

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = ROOT / "ops" / "kubernetes"
BUILT: Final = ("base", "overlays/rehearsal")
VERSIONS: Final = ("1.29", "1.33", "1.37")
OURS: Final = {"swapjobs", "swapjobs-sandbox"}


@cache
def built(name: str) -> list[dict[str, Any]]:
    """Return the objects that `kubectl apply --kustomize` would make."""
    if shutil.which("kubectl") is None:
        missing("kubectl")
    command = ["kubectl", "kustomize", str(FOLDER / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


def deployments(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Return each deployment, with its pod and the container in it."""
    for item in built(name):
        if item["kind"] == "Deployment":
            pod = item["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            yield item, pod, container


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", BUILT)
def test_the_schemas_take_every_object(name: str, version: str) -> None:
    for item in built(name):
        kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize("name", BUILT)
def test_every_pod_is_bounded_probed_and_without_rights(name: str) -> None:
    for item, pod, container in deployments(name):
        what = item["metadata"]["name"]
        assert pod["securityContext"]["runAsNonRoot"], what
        assert pod["automountServiceAccountToken"] is False, what
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"livenessProbe", "readinessProbe"} <= container.keys(), what
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}, what
        assert container["resources"]["limits"].keys() == {"memory"}, what
        ports = {port["name"] for port in container["ports"]}
        for probe in (container["livenessProbe"], container["readinessProbe"]):
            assert (probe.get("httpGet") or probe["tcpSocket"])["port"] in ports, what


@pytest.mark.parametrize("name", BUILT)
def test_selectors_find_their_pods_and_services_their_ports(name: str) -> None:
    pods = {item["metadata"]["name"]: item["spec"]["template"] for item, _, _ in deployments(name)}
    labels = [template["metadata"]["labels"] for template in pods.values()]
    for item in built(name):
        spec = item.get("spec", {})
        if item["kind"] in {"Deployment", "PodDisruptionBudget"}:
            wanted = spec["selector"]["matchLabels"]
        elif item["kind"] == "Service":
            wanted = spec["selector"]
            templates = [
                template for template in pods.values() if wanted.items() <= template["metadata"]["labels"].items()
            ]
            ports = {port["name"] for template in templates for port in template["spec"]["containers"][0]["ports"]}
            assert {port["targetPort"] for port in spec["ports"]} <= ports
        elif item["kind"] == "NetworkPolicy" and "name" in str(spec["podSelector"]):
            wanted = {key: value for key, value in spec["podSelector"]["matchLabels"].items() if key.endswith("/name")}
        else:
            continue
        assert any(wanted.items() <= label.items() for label in labels), item["metadata"]["name"]


@pytest.mark.parametrize("name", BUILT)
def test_settings_commands_and_times_are_those_of_our_programs(name: str) -> None:
    commands = {name for commands in MODULES.values() for name in commands}
    for item, pod, container in deployments(name):
        if container["image"].partition(":")[0] not in OURS:
            continue
        assert container["args"][0] in commands, container["args"]
        given = {entry["name"] for entry in container.get("env", ())}
        assert given <= known_names() | {"FLOWER_BASIC_AUTH"}, given
        if container["args"][0] == "worker":
            assert pod["terminationGracePeriodSeconds"] > WorkerSettings().stop_grace_s
            values = {entry["name"]: entry["value"] for entry in container["env"]}
            assert values["SWAPJOBS_HEALTH_PORT"] == str(container["ports"][0]["containerPort"])
        if container["args"][0] == "gateway":
            assert not given & {"SWAPJOBS_API_KEY_ID", "SWAPJOBS_API_KEY_SECRET"}, "they are none of its business"
            assert {name.removeprefix("SWAPJOBS_").lower() for name in given} <= GatewaySettings.model_fields.keys()
        assert item["metadata"]["namespace"] == "swapjobs"
    for item in built(name):
        if item["kind"] == "ConfigMap":
            assert item["data"].keys() <= known_names()


def test_keda_asks_for_a_metric_that_there_is_and_divides_by_the_slots_of_a_worker() -> None:
    scaled = yaml.safe_load((FOLDER / "components/keda/scaled-object.yaml").read_text(encoding="utf-8"))
    asked = scaled["spec"]["triggers"][0]["metadata"]
    assert f'"{asked["valueLocation"].removeprefix("swapjobs_")}"' in (
        ROOT / "producers/swapjobs/monitoring/prometheus.py"
    ).read_text(encoding="utf-8")
    (settings,) = (item for item in built("base") if item["kind"] == "ConfigMap")
    assert asked["targetValue"] == settings["data"]["SWAPJOBS_CONCURRENCY"]
    (service,) = (item for item in built("base") if item["kind"] == "Service" and "webhook" in item["metadata"]["name"])
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{service['spec']['ports'][0]['port']}"
    assert asked["url"] == f"http://{host}/metrics"
    scrape = yaml.safe_load((FOLDER / "components/prometheus-operator/scrape-config.yaml").read_text(encoding="utf-8"))
    assert scrape["spec"]["staticConfigs"][0]["targets"] == [host]
    names = {item["metadata"]["name"] for item, _, _ in deployments("base")}
    assert scaled["spec"]["scaleTargetRef"]["name"] in names
