"""What deploy/ asks of a cluster fits together; whether a cluster takes it, none here can say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FOLDER = DEPLOY / "kubernetes"


def documents() -> list[dict[str, Any]]:
    yaml = YAML(typ="safe")
    named = yaml.load(FOLDER / "kustomization.yaml")["resources"]
    others = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(named) == others, "every file is applied"
    return [found for name in named for found in yaml.load_all(FOLDER / name)]


def pods() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield name, selector and template of whatever makes pods."""
    for found in documents():
        template = found.get("spec", {}).get("template")
        if template:
            selector = found["spec"].get("selector", {}).get("matchLabels", {})
            yield found["metadata"]["name"], selector, template


def test_nothing_runs_as_root_or_gains_rights() -> None:
    for name, _, template in pods():
        assert template["spec"]["securityContext"]["runAsNonRoot"], name
        assert template["spec"]["automountServiceAccountToken"] is False, name
        for container in template["spec"]["containers"]:
            context = container["securityContext"]
            assert context["capabilities"]["drop"] == ["ALL"], name
            # bubblewrap makes namespaces by way of uidmap's own rights
            assert name == "worker" or context["allowPrivilegeEscalation"] is False, name
            assert container["resources"]["limits"]["memory"], name
    assert "USER 10001:10001" in (DEPLOY / "Dockerfile").read_text()


def test_selectors_secrets_and_services_name_what_is_there() -> None:
    labels = [template["metadata"]["labels"] for _, _, template in pods()]
    for name, selector, template in pods():
        assert selector.items() <= template["metadata"]["labels"].items(), name
    for found in documents():
        if found["kind"] == "Service":
            wanted = found["spec"]["selector"].items()
            assert any(wanted <= each.items() for each in labels), found["metadata"]["name"]
        if found["kind"] == "NetworkPolicy":
            wanted = found["spec"]["podSelector"].get("matchLabels", {}).items()
            assert any(wanted <= each.items() for each in labels), found["metadata"]["name"]
    lines = (FOLDER / "secrets.example.env").read_text().splitlines()
    keys = {line.partition("=")[0] for line in lines}
    asked = {
        variable["valueFrom"]["secretKeyRef"]["key"]
        for _, _, template in pods()
        for container in template["spec"]["containers"]
        for variable in container.get("env", [])
        if "valueFrom" in variable
    }
    assert asked == keys


def test_workers_do_not_get_what_the_server_alone_needs() -> None:
    [worker] = [template for name, _, template in pods() if name == "worker"]
    names = {each["name"] for each in worker["spec"]["containers"][0]["env"]}
    assert names == {"PREFECT_API_AUTH_STRING", "ANTHROPIC_API_KEY"}
