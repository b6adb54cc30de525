"""A Kubernetes without machines: etcd, API server, controllers, scheduler, KubeRay; on the loopback address alone.

Nodes are objects that tests make, and no pod runs: seen is what is taken, what is made of it, and where pods would go.
`tests.on_kubernetes` puts a machine to it.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
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
ADMIN_TOKEN, OPERATOR_TOKEN, NODE_TOKEN = "admin", "operator", "node"
"""For a server that nobody else reaches and that lives as long as a test."""
NODE = "machine"
WITHOUT_MACHINES = (
    "--endpoint-reconciler-type=none",  # 127.0.0.1 is no address for others
    "--disable-admission-plugins=TaintNodesByCondition",  # no kubelet would take the taint away
)
WITHOUT_KUBELETS = "*,-node-lifecycle-controller,-taint-eviction-controller"
"""All controllers but those that would find every node gone."""


class ControlPlane:
    """The API server that is running, and what else writes its log."""

    def __init__(
        self, folder: Path, authority: trustme.CA, address: str = "127.0.0.1", inside: Sequence[str] = ()
    ) -> None:
        """`inside` is the beginning of every command, which leads to where the address is."""
        self.folder, self.address, self.inside = folder, address, inside
        self.etcd_port, self.peer_port, free, self.metrics, self.probes = free_ports(5)
        self.port = 6443 if inside else free
        self.url = f"https://{address}:{self.port}"
        authority.cert_pem.write_to_path(folder / "ca.pem")
        certificate = authority.issue_cert(address, "10.96.0.1", "kubernetes.default.svc")
        certificate.cert_chain_pems[0].write_to_path(folder / "server.pem")
        certificate.private_key_pem.write_to_path(folder / "server-key.pem")
        authority.issue_cert("accounts").private_key_pem.write_to_path(folder / "accounts.pem")
        groups = "system:serviceaccounts,system:serviceaccounts:kuberay-system"
        (folder / "tokens.csv").write_text(
            f'{ADMIN_TOKEN},admin,admin,"system:masters"\n{OPERATOR_TOKEN},{OPERATOR},operator,"{groups}"\n'
            f'{NODE_TOKEN},system:node:{NODE},node,"system:nodes"\n'
        )
        self.kubeconfig = self._kubeconfig("admin", ADMIN_TOKEN)
        self.operators_kubeconfig = self._kubeconfig("operator", OPERATOR_TOKEN)
        self.nodes_kubeconfig = self._kubeconfig("node", NODE_TOKEN)

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

    def kubectl_command(self, *arguments: str) -> list[str]:
        options = ["--kubeconfig", str(self.kubeconfig), "--cache-dir", str(self.folder / "seen")]
        return [*self.inside, "kubectl", *options, *arguments]

    def kubectl(
        self, *arguments: str, given: str | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        command = self.kubectl_command(*arguments)
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=timeout)

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
        start_api_server(plane, stack, WITHOUT_MACHINES)
        if controllers:
            start_controllers(plane, stack, WITHOUT_KUBELETS)
            install_operator(plane)
            stack.enter_context(process(plane, "kuberay-operator", _operator(plane), plane.operators_kubeconfig))
        yield plane


def start_api_server(plane: ControlPlane, stack: ExitStack, options: Sequence[str]) -> None:
    """Until it answers, with all resource types."""
    stack.enter_context(process(plane, "etcd", _etcd(plane)))
    stack.enter_context(process(plane, "kube-apiserver", [*_api_server(plane), *options]))
    plane.until(lambda: plane.kubectl("get", "--raw", "/readyz").returncode == 0)
    _install_types(plane)


def start_controllers(plane: ControlPlane, stack: ExitStack, controllers: str) -> None:
    here = ["--kubeconfig", str(plane.kubeconfig), "--leader-elect=false", "--secure-port=0"]
    accounts = ["--service-account-private-key-file", str(plane.folder / "accounts.pem")]
    authority = ["--root-ca-file", str(plane.folder / "ca.pem")]
    manager = [*here, *accounts, *authority, f"--controllers={controllers}"]
    stack.enter_context(process(plane, "kube-controller-manager", manager))
    # A claim bound while the scheduler looks at its pod goes unheard; the pod waits so long, by default five minutes.
    again = "--pod-max-in-unschedulable-pods-duration=20s"
    stack.enter_context(process(plane, "kube-scheduler", [*here, again]))


@contextmanager
def process(plane: ControlPlane, name: str, arguments: Sequence[str], kubeconfig: Path | None = None) -> Iterator[None]:
    """One of its programs, until the context ends."""
    path = program(name)
    assert path is not None, name
    environment = {**os.environ, "ETCD_UNSUPPORTED_ARCH": "arm64", "KUBECONFIG": str(kubeconfig or "")}
    command = [*plane.inside, str(path), *arguments]
    with (plane.folder / f"{name}.log").open("w") as log:
        started = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=plane.folder, start_new_session=True
        )
        try:
            yield
        finally:
            started.terminate()
            try:
                started.wait(5)
            except subprocess.TimeoutExpired:
                started.kill()
                started.wait()


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
        f"--bind-address={plane.address}",
        f"--advertise-address={plane.address}",
        f"--secure-port={plane.port}",
        f"--tls-cert-file={folder / 'server.pem'}",
        f"--tls-private-key-file={folder / 'server-key.pem'}",
        f"--cert-dir={folder}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        f"--service-account-key-file={folder / 'accounts.pem'}",
        f"--service-account-signing-key-file={folder / 'accounts.pem'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16",
    ]


def _operator(plane: ControlPlane) -> list[str]:
    return [
        f"--metrics-addr=127.0.0.1:{plane.metrics}",
        f"--health-probe-bind-address=127.0.0.1:{plane.probes}",
        "--leader-election-namespace=kuberay-system",
    ]


def _install_types(plane: ControlPlane) -> None:
    texts = []
    for module in DEFINITIONS:
        wanted = TYPES[module.rpartition("/")[2]]
        files = [
            file for file in sorted(definitions(module).rglob("*.yaml")) if any(part in file.name for part in wanted)
        ]
        texts += [text for file in files if "CustomResourceDefinition" in (text := file.read_text())]
    plane.apply("\n---\n".join(texts))
    wait = ("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    plane.until(lambda: plane.kubectl(*wait).returncode == 0)  # it fails if a type has no conditions yet


def install_operator(plane: ControlPlane) -> None:
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
