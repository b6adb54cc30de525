"""A Kubernetes without machines: etcd, API server, controllers, scheduler, KubeRay; on the loopback address alone.

Nodes are objects that tests make, and no pod runs: seen is what is taken, what is made of it, and where pods would go.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import trustme
import yaml

from tests.support.kubernetes_programs import DEFINITIONS, definitions, program
from tests.support.manifests import Document
from tests.support.running import free_ports

TYPES = {
    "ray-operator": ("rayclusters", "rayservices", "rayjobs", "raycronjobs"),
    "gateway-api": ("gateways.", "httproutes", "grpcroutes"),
    "cert-manager": ("certificates.",),
    "external-secrets": ("external-secrets.io_externalsecrets",),
    "prometheus-operator": ("podmonitors", "prometheusrules"),
}
"""The resource types that the manifests use, by what stands in the names of their files."""
OPERATOR = "system:serviceaccount:kuberay-system:kuberay-operator"
ADMIN_TOKEN, OPERATOR_TOKEN = "admin", "operator"
"""For a server on the loopback address that lives as long as a test."""
WITHOUT_KUBELETS = "*,-node-lifecycle-controller,-taint-eviction-controller"
"""All controllers but those that would find every node gone."""


class ControlPlane:
    """The API server that is running, and what else writes its log."""

    def __init__(self, folder: Path, authority: trustme.CA) -> None:
        self.folder = folder
        self.etcd_port, self.peer_port, self.port, self.metrics, self.probes = free_ports(5)
        self.url = f"https://127.0.0.1:{self.port}"
        authority.cert_pem.write_to_path(folder / "ca.pem")
        certificate = authority.issue_cert("127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(folder / "server.pem")
        certificate.private_key_pem.write_to_path(folder / "server-key.pem")
        authority.issue_cert("accounts").private_key_pem.write_to_path(folder / "accounts.pem")
        groups = "system:serviceaccounts,system:serviceaccounts:kuberay-system"
        (folder / "tokens.csv").write_text(
            f'{ADMIN_TOKEN},admin,admin,"system:masters"\n{OPERATOR_TOKEN},{OPERATOR},operator,"{groups}"\n'
        )
        self.kubeconfig = self._kubeconfig("admin", ADMIN_TOKEN)
        self.operators_kubeconfig = self._kubeconfig("operator", OPERATOR_TOKEN)

    def _kubeconfig(self, name: str, token: str) -> Path:
        file = self.folder / f"{name}.yaml"
        cluster = {"server": self.url, "certificate-authority": str(self.folder / "ca.pem")}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": cluster}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": name}}],
            "current-context": "here",
        }
        file.write_text(yaml.safe_dump(content))
        return file

    def kubectl(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [
            "kubectl",
            "--kubeconfig",
            str(self.kubeconfig),
            "--cache-dir",
            str(self.folder / "seen"),
            *arguments,
        ]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=120)

    def apply(self, text: str, *options: str) -> str:
        """Server-side, with unknown and double fields refused. A refusal fails the test; warnings are returned."""
        done = self.kubectl("apply", "--server-side", "--validate=strict", *options, "-f", "-", given=text)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def list(self, kinds: str, namespace: str = "qdrant-inference") -> list[Document]:
        done = self.kubectl("get", kinds, "--namespace", namespace, "--output", "json")
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout)["items"])

    def log(self, name: str) -> list[str]:
        return (self.folder / f"{name}.log").read_text(errors="replace").splitlines()

    def until(self, holds: Callable[[], bool], within_s: float = 180) -> None:
        """Wait for what the controllers do."""
        end = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < end, f"it took longer than {within_s} s; see the logs in {self.folder}"
            time.sleep(0.5)


@contextmanager
def running(folder: Path, *, controllers: bool) -> Iterator[ControlPlane]:
    """An API server with all resource types; if wanted with controllers, scheduler and operator."""
    with ExitStack() as stack:
        plane = ControlPlane(folder, trustme.CA())
        stack.enter_context(_process(folder, "etcd", _etcd(plane)))
        stack.enter_context(_process(folder, "kube-apiserver", _api_server(plane)))
        plane.until(lambda: _is_ready(plane), within_s=180)
        _install_types(plane)
        if controllers:
            here = ["--kubeconfig", str(plane.kubeconfig), "--leader-elect=false", "--secure-port=0"]
            accounts = ["--service-account-private-key-file", str(folder / "accounts.pem")]
            manager = [*here, *accounts, f"--controllers={WITHOUT_KUBELETS}"]
            stack.enter_context(_process(folder, "kube-controller-manager", manager))
            stack.enter_context(_process(folder, "kube-scheduler", here))
            _install_operator(plane)
            stack.enter_context(_process(folder, "kuberay-operator", _operator(plane), plane.operators_kubeconfig))
        yield plane


@contextmanager
def _process(folder: Path, name: str, arguments: Sequence[str], kubeconfig: Path | None = None) -> Iterator[None]:
    path = program(name)
    assert path is not None, name
    environment = {**os.environ, "ETCD_UNSUPPORTED_ARCH": "arm64", "KUBECONFIG": str(kubeconfig or "")}
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [path, *arguments], stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=folder
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _etcd(plane: ControlPlane) -> list[str]:
    clients, peers = f"http://127.0.0.1:{plane.etcd_port}", f"http://127.0.0.1:{plane.peer_port}"
    return [
        f"--data-dir={plane.folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
    ]


def _api_server(plane: ControlPlane) -> list[str]:
    folder = plane.folder
    return [
        f"--etcd-servers=http://127.0.0.1:{plane.etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",  # 127.0.0.1 is no address for others
        f"--secure-port={plane.port}",
        f"--tls-cert-file={folder / 'server.pem'}",
        f"--tls-private-key-file={folder / 'server-key.pem'}",
        f"--cert-dir={folder}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        f"--service-account-key-file={folder / 'accounts.pem'}",
        f"--service-account-signing-key-file={folder / 'accounts.pem'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--disable-admission-plugins=TaintNodesByCondition",  # no kubelet would take the taint away
    ]


def _operator(plane: ControlPlane) -> list[str]:
    return [
        f"--metrics-addr=127.0.0.1:{plane.metrics}",
        f"--health-probe-bind-address=127.0.0.1:{plane.probes}",
        "--leader-election-namespace=kuberay-system",
    ]


def _is_ready(plane: ControlPlane) -> bool:
    context = ssl.create_default_context(cafile=str(plane.folder / "ca.pem"))
    request = urllib.request.Request(f"{plane.url}/readyz", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _install_types(plane: ControlPlane) -> None:
    texts = []
    for module in DEFINITIONS:
        wanted = TYPES[module.rpartition("/")[2]]
        files = [
            file for file in sorted(definitions(module).rglob("*.yaml")) if any(part in file.name for part in wanted)
        ]
        texts += [text for file in files if "CustomResourceDefinition" in (text := file.read_text())]
    plane.apply("\n---\n".join(texts))
    done = plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    assert done.returncode == 0, done.stderr


def _install_operator(plane: ControlPlane) -> None:
    """The rights that KubeRay's own manifests give it, in its namespace."""
    plane.kubectl("create", "namespace", "kuberay-system")
    folder = definitions("github.com/ray-project/kuberay/ray-operator") / "rbac"
    for name in ("service_account", "role", "role_binding", "leader_election_role", "leader_election_role_binding"):
        document: Any = yaml.safe_load((folder / f"{name}.yaml").read_text())
        if document["kind"] in {"ServiceAccount", "Role", "RoleBinding"}:
            document["metadata"]["namespace"] = "kuberay-system"
        for subject in document.get("subjects", ()):
            subject["namespace"] = "kuberay-system"
        plane.apply(yaml.safe_dump(document))
