"""The Kubernetes manifests: what the API takes, and what must agree with each other and with omni.

As they are written, and, where kubectl is here, as kustomize puts them together.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from omni import settings as settings_of
from omni.cli.serve import serve
from omni.gateway.health import Health
from omni.settings import Settings
from tests.infra.parts import INFRA, documents, seconds_to_stop, strange_variables

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import kubernetes_validate

VERSIONS = ("1.30", "1.34")  # the oldest whose pods may sleep before they stop, and a new one
FOLDER = INFRA / "kubernetes"
Manifest = dict[str, Any]
NOT_OURS = {"POD_NAME", "HOST_IP", "VOICE_DOMAIN", "TMPDIR"}


def _written() -> list[Manifest]:
    files = [*sorted((FOLDER / "base").glob("*.yaml")), *sorted((FOLDER / "example").glob("*.yaml"))]
    found = [one for file in files for one in documents(str(file.relative_to(INFRA)))]
    return [one for one in found if "kind" in one and one["kind"] != "Kustomization"]


def _rendered(tmp_path: Path, *components: str) -> list[Manifest]:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not here; the manifests are checked as they are written all the same")
    copy = tmp_path / "kubernetes"
    shutil.copytree(FOLDER, copy)
    file = copy / "example" / "kustomization.yaml"
    text = file.read_text()
    for component in components:
        assert f"# components: [../{component}]" in text
        text = text.replace(f"# components: [../{component}]", f"components: [../{component}]")
    file.write_text(text)
    run = subprocess.run(["kubectl", "kustomize", str(file.parent)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return list(yaml.safe_load_all(run.stdout))


@pytest.fixture(params=["as written", "example", "example on the nodes' network"])
def manifests(request: pytest.FixtureRequest, tmp_path: Path) -> list[Manifest]:
    if request.param == "as written":
        return _written()
    return _rendered(tmp_path, *(["host-network"] if "network" in request.param else []))


def _kind(manifests: list[Manifest], *kinds: str) -> list[Manifest]:
    return [one for one in manifests if one["kind"] in kinds]


def _workloads(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest, Manifest]]:
    """Role, pod template's spec, the one container."""
    for one in _kind(manifests, "Deployment", "StatefulSet"):
        pod = one["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        yield container["args"][container["args"].index("--role") + 1], pod, container


def _labels(manifests: list[Manifest]) -> list[dict[str, str]]:
    """Those of each workload's pods; workers of a stateful set have one more each.

    All have the one that kustomize adds.
    """
    (ours,) = (one["pairs"] for one in documents("kubernetes/base/kustomization.yaml")[0]["labels"])
    found = []
    for one in _kind(manifests, "Deployment", "StatefulSet"):
        labels = {**ours, **one["spec"]["template"]["metadata"]["labels"]}
        names = [f"{one['metadata']['name']}-{n}" for n in range(_most(manifests, one["metadata"]["name"]))]
        of_pod = [{"statefulset.kubernetes.io/pod-name": name} for name in names]
        found += [{**labels, **more} for more in (of_pod if one["kind"] == "StatefulSet" else [{}])]
    return found


def _most(manifests: list[Manifest], name: str) -> int:
    (scaler,) = (
        one for one in _kind(manifests, "HorizontalPodAutoscaler") if one["spec"]["scaleTargetRef"]["name"] == name
    )
    return int(scaler["spec"]["maxReplicas"])


def _environment() -> dict[str, str]:
    (kustomization,) = documents("kubernetes/example/kustomization.yaml")
    (literals,) = (one["literals"] for one in kustomization["configMapGenerator"] if one["name"] == "omni")
    return dict(literal.split("=", 1) for literal in literals)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_api_takes_it(manifests: list[Manifest], version: str) -> None:
    assert len(manifests) > 15
    for one in manifests:
        kubernetes_validate.validate(one, version, strict=True)


def test_the_check_finds_what_the_api_does_not_know() -> None:
    broken = {**_kind(_written(), "Deployment")[0]}
    broken["spec"] = {**broken["spec"], "replicaz": 2}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSIONS[0], strict=True)


def test_every_role_runs(manifests: list[Manifest]) -> None:
    assert sorted(role for role, _, _ in _workloads(manifests)) == ["delivery", "gateway", "session", "voice"]


def test_every_variable_is_a_setting(manifests: list[Manifest]) -> None:
    named = {entry["name"] for _, _, container in _workloads(manifests) for entry in container["env"]}
    assert strange_variables(named | _environment().keys()) == []
    assert {name for name in named | _environment().keys() if not name.startswith("OMNI_")} <= NOT_OURS


def test_what_a_variable_refers_to_stands_before_it(manifests: list[Manifest]) -> None:
    for _, _, container in _workloads(manifests):
        known: set[str] = set()
        for entry in container["env"]:
            assert set(re.findall(r"\$\((\w+)\)", entry.get("value", ""))) <= known, entry["name"]
            known.add(entry["name"])


def test_the_example_is_settings_that_the_server_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _environment().items():
        monkeypatch.setenv(name, value)
    settings = settings_of.load(FOLDER / "example" / "omni.yaml")
    assert settings.agents
    assert settings.proxies == 1


def test_a_stop_waits_for_the_drain(manifests: list[Manifest]) -> None:
    drain_calls = float(_environment()["OMNI_DRAIN_CALLS"])
    for role, pod, container in _workloads(manifests):
        before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] > before + seconds_to_stop(role, drain_calls), role
        assert (before > 0) == (role == "gateway")  # only it is behind a load balancer that must hear of the end


def test_probes_ask_for_what_every_role_answers(manifests: list[Manifest]) -> None:
    paths = {route.path for route in Health(None, None, None, []).routes()}  # type: ignore[arg-type]
    for _, _, container in _workloads(manifests):
        (http,) = (port for port in container["ports"] if port["name"] == "http")
        assert http["containerPort"] == Settings.model_fields["port"].default
        for probe, path in (("startupProbe", "/health"), ("livenessProbe", "/health"), ("readinessProbe", "/ready")):
            assert container[probe]["httpGet"] == {"path": path, "port": "http"}
            assert path in paths


def test_a_process_may_wait_for_its_engines_before_it_is_ended(manifests: list[Manifest]) -> None:
    (waits,) = (option.default for option in serve.params if option.name == "wait")
    for _, _, container in _workloads(manifests):
        probe = container["startupProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] > float(str(waits))


def test_pods_have_no_more_rights_than_they_need(manifests: list[Manifest]) -> None:
    image = (INFRA / "Dockerfile").read_text()
    for _, pod, container in _workloads(manifests):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert f"USER {pod['securityContext']['runAsUser']}:" in image
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert "cpu" not in container["resources"]["limits"]  # a limit holds the event loop up


def test_what_is_mounted_is_a_volume_and_where_the_variables_say(manifests: list[Manifest]) -> None:
    for role, pod, container in _workloads(manifests):
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts.values()) == {volume["name"] for volume in pod["volumes"]}
        given = {entry["name"]: entry.get("value", "") for entry in container["env"]}
        assert mounts[given["OMNI_SECRETS_DIR"]] == "secrets"
        assert mounts[str(Path(given["OMNI_CONFIG"]).parent)] == "config"
        assert "/tmp" in mounts
        assert given.get("TMPDIR", "/tmp") in mounts, role


def test_selectors_find_pods(manifests: list[Manifest]) -> None:
    pods = _labels(manifests)

    def finds(selector: dict[str, str]) -> bool:
        return any(selector.items() <= labels.items() for labels in pods)

    for one in _kind(manifests, "Deployment", "StatefulSet"):
        selector = one["spec"]["selector"]["matchLabels"]
        assert selector.items() <= one["spec"]["template"]["metadata"]["labels"].items()
        for spread in one["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            assert finds(spread["labelSelector"]["matchLabels"])
    for one in _kind(manifests, "PodDisruptionBudget"):
        assert finds(one["spec"]["selector"]["matchLabels"])
    for one in _kind(manifests, "Service"):
        assert finds(one["spec"]["selector"]) == (one["metadata"]["name"] != "omni-closed"), one["metadata"]["name"]
    for one in _kind(manifests, "NetworkPolicy"):
        selector = one["spec"]["podSelector"]
        assert selector
        assert finds(selector.get("matchLabels", {}))
        for expression in selector.get("matchExpressions", []):
            assert all(finds({expression["key"]: value}) for value in expression["values"])


def test_services_and_ingresses_lead_to_ports_that_are_there(manifests: list[Manifest]) -> None:
    names = {port["name"] for _, _, container in _workloads(manifests) for port in container["ports"]}
    services = {one["metadata"]["name"]: one["spec"]["ports"] for one in _kind(manifests, "Service")}
    for name, ports in services.items():
        assert all(port.get("targetPort") in names for port in ports) or name == "omni-closed"
    for one in _kind(manifests, "Ingress"):
        for rule in one["spec"]["rules"]:
            assert rule["host"] in one["spec"]["tls"][0]["hosts"]
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                assert backend["port"]["name"] in {port["name"] for port in services[backend["name"]]}


def test_metrics_are_not_shown_to_the_world(manifests: list[Manifest]) -> None:
    paths = {
        path["path"]: path["backend"]["service"]["name"]
        for one in _kind(manifests, "Ingress")
        for rule in one["spec"]["rules"]
        for path in rule["http"]["paths"]
    }
    assert paths["/"] == "omni-gateway"
    assert paths["/metrics"] == "omni-closed"


def test_sockets_and_streams_stay_open(manifests: list[Manifest]) -> None:
    for one in _kind(manifests, "Ingress"):
        assert int(one["metadata"]["annotations"]["nginx.ingress.kubernetes.io/proxy-read-timeout"]) >= 3600


def test_each_voice_worker_that_may_run_has_its_address(manifests: list[Manifest]) -> None:
    (ingress,) = (one for one in _kind(manifests, "Ingress") if one["metadata"]["name"] == "omni-voice")
    hosts = {rule["host"]: rule["http"]["paths"][0] for rule in ingress["spec"]["rules"]}
    ((_, _, container),) = (one for one in _workloads(manifests) if one[0] == "voice")
    (url,) = (entry["value"] for entry in container["env"] if entry["name"] == "OMNI_VOICE_URL")
    domain = _environment()["VOICE_DOMAIN"]
    wanted = {
        url.replace("$(POD_NAME)", f"omni-voice-{n}").replace("$(VOICE_DOMAIN)", domain).removeprefix("https://")
        for n in range(_most(manifests, "omni-voice"))
    }
    assert hosts.keys() == wanted
    for host, path in hosts.items():
        assert path["path"] == "/twilio/media"
        assert path["backend"]["service"]["name"] == host.split(".")[0]
    for one in _kind(manifests, "Service"):
        if re.fullmatch(r"omni-voice-\d+", one["metadata"]["name"]):
            assert one["spec"]["publishNotReadyAddresses"] is True  # one that drains has calls
            assert one["spec"]["selector"]["statefulset.kubernetes.io/pod-name"] == one["metadata"]["name"]


def test_scaling_fits_what_omni_can_use(manifests: list[Manifest]) -> None:
    environment = _environment()
    workloads = {one["metadata"]["name"]: one for one in _kind(manifests, "Deployment", "StatefulSet")}
    for one in _kind(manifests, "HorizontalPodAutoscaler"):
        target = one["spec"]["scaleTargetRef"]
        assert workloads[target["name"]]["kind"] == target["kind"]
        assert "replicas" not in workloads[target["name"]]["spec"]  # each `apply` would undo what it did
        assert 2 <= one["spec"]["minReplicas"] <= one["spec"]["maxReplicas"]
    for role in ("session", "delivery"):
        assert _most(manifests, f"omni-{role}") <= int(environment["OMNI_PARTITIONS"])
    assert len(_kind(manifests, "HorizontalPodAutoscaler")) == len(workloads)
    (voice,) = (one for one in _kind(manifests, "HorizontalPodAutoscaler") if one["metadata"]["name"] == "omni-voice")
    (metric,) = voice["spec"]["metrics"]
    assert metric["pods"]["metric"]["name"] == "omni_voice_calls"
    assert int(metric["pods"]["target"]["averageValue"]) < int(environment["OMNI_MAX_CALLS"])


def test_what_it_scales_by_is_what_the_adapter_makes(manifests: list[Manifest]) -> None:
    (adapter,) = documents("prometheus/adapter.yaml")
    made = {kind: {rule["name"]["as"] for rule in adapter["rules"][kind]} for kind in ("external", "custom")}
    used: dict[str, set[str]] = {"external": set(), "custom": set()}
    for one in _kind(manifests, "HorizontalPodAutoscaler"):
        for metric in one["spec"]["metrics"]:
            if metric["type"] == "External":
                used["external"].add(metric["external"]["metric"]["name"])
            elif metric["type"] == "Pods":
                used["custom"].add(metric["pods"]["metric"]["name"])
    assert made == used


def test_one_of_a_role_at_a_time_may_be_taken_away(manifests: list[Manifest]) -> None:
    budgets = {one["metadata"]["name"]: one["spec"] for one in _kind(manifests, "PodDisruptionBudget")}
    assert budgets.keys() == {one["metadata"]["name"] for one in _kind(manifests, "Deployment", "StatefulSet")}
    assert all(budget["maxUnavailable"] == 1 for budget in budgets.values())


def test_the_nodes_network_brings_sip_at_the_port_that_is_bound(tmp_path: Path) -> None:
    ((_, pod, container),) = (one for one in _workloads(_rendered(tmp_path, "host-network")) if one[0] == "voice")
    assert pod["hostNetwork"] is True
    given = {entry["name"]: entry.get("value", "") for entry in container["env"]}
    bound = given["OMNI_SIP_BIND"].replace("$(HOST_IP)", "192.0.2.1")
    (listen, _) = Settings(sip_bind=bound).sip_listens
    ports = {port["name"]: port for port in container["ports"]}
    assert ports["sip"]["containerPort"] == ports["sip"]["hostPort"] == listen.port
