"""The files of deploy/ are what the tools that read them expect."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = "1.34"
SCRIPTS = sorted(path.name for path in DEPLOY.glob("*.sh"))


def program(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found is not None, f"{name} is not installed beside {sys.executable}"
    return found


def said(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


@pytest.mark.parametrize("script", SCRIPTS)
def test_shellcheck_has_nothing_to_say(script: str) -> None:
    assert said(program("shellcheck"), f"deploy/{script}") == ""


def test_hadolint_has_nothing_to_say() -> None:
    assert said(program("hadolint"), "deploy/Dockerfile") == ""


def kubernetes_objects() -> list[Any]:
    return [
        pytest.param(document, id=f"{path.stem}-{document['kind']}")
        for path in sorted((DEPLOY / "kuberay").glob("*.yaml"))
        for document in documents(path)
    ]


def pod_templates(value: Any) -> list[dict[str, Any]]:
    """Every template of a pod in a document."""
    if isinstance(value, list):
        return [found for part in value for found in pod_templates(part)]
    if not isinstance(value, dict):
        return []
    found = [value["template"]] if "containers" in value.get("template", {}).get("spec", {}) else []
    return found + [inner for part in value.values() for inner in pod_templates(part)]


@pytest.mark.parametrize("document", kubernetes_objects())
def test_kubernetes_knows_every_object_and_every_template_of_a_pod(document: dict[str, Any]) -> None:
    if not document["apiVersion"].startswith("ray.io/"):
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    for template in pod_templates(document):
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "one", **template["metadata"]},
            "spec": template["spec"],
        }
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


@pytest.mark.parametrize("document", kubernetes_objects())
def test_no_container_is_root_or_without_limits(document: dict[str, Any]) -> None:
    for template in pod_templates(document):
        assert template["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in template["spec"]["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


def test_the_virtual_machines_are_as_rays_launcher_wants_them() -> None:
    schema = json.loads(resources.files("ray").joinpath("autoscaler", "ray-schema.json").read_text())
    jsonschema.validate(yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text()), schema)


def test_docker_compose_takes_the_file() -> None:
    assert said(program("docker-compose"), "--file", "deploy/compose.yaml", "config", "--quiet") == ""


def test_compose_opens_ports_on_loopback_alone() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    assert all("healthcheck" in service for service in services.values())


def test_all_files_name_the_ray_that_is_pinned() -> None:
    (cluster,) = documents(DEPLOY / "kuberay" / "cluster.yaml")
    assert cluster["spec"]["rayVersion"] == metadata.version("ray")


def test_nothing_holds_a_password_or_leaves_rays_token_to_a_default() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert not re.search(r"://[^/\s@]+:[^/\s@]+@", text), path
            if "ray start" in text:
                assert "RAY_AUTH_MODE" in text, path
