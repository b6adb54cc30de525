"""One machine of Kubernetes: kubelet, containerd, services and network policies, in namespaces of its own.

Its processes, mounts and interfaces are seen by nobody else and go with the first of its processes. It has no way out;
what stands for the internet is a second network behind it, with a web server at `PUBLIC` and at the address of clouds'
metadata.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import trustme
import yaml

from tests.support.control_plane import NODE, ControlPlane, process, start_api_server, start_controllers

ADDRESS = "10.10.0.1"
PUBLIC = "8.8.8.8"
METADATA = "169.254.169.254"
DNS = "10.96.0.10"
CGROUP = "qdrant-inference-kubernetes"
WITH_A_KUBELET = ("--enable-admission-plugins=NodeRestriction", "--kubelet-preferred-address-types=InternalIP")
_PLUGINS = "/usr/lib/cni"
_INIT = "trap 'exit 0' TERM; while :; do sleep 60 & wait $!; done"
"""Waits for orphans, too."""
_NETWORK = f"""
mount --make-rshared /
for folder in /run /var/lib /var/log; do mount -t tmpfs tmpfs $folder; done
mkdir -p /run/lock
ip link set lo up
ip link add node0 type bridge
ip addr add {ADDRESS}/24 dev node0
ip link set node0 up
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
ip netns add outside
ip link add outside0 type veth peer name eth0 netns outside
ip addr add 10.11.0.1/24 dev outside0
ip link set outside0 up
ip route add default via 10.11.0.2
ip -n outside link set lo up
ip -n outside addr add 10.11.0.2/24 dev eth0
ip -n outside addr add {PUBLIC}/32 dev lo
ip -n outside addr add {METADATA}/32 dev lo
ip -n outside link set eth0 up
ip -n outside route add default via 10.11.0.1
"""
_WEB = ("ip", "netns", "exec", "outside", "python3", "-m", "http.server", "80", "--directory")


@contextmanager
def machine(folder: Path) -> Iterator[ControlPlane]:
    """A cluster whose one node is ready; images are imported by `load_image`."""
    with ExitStack() as stack:
        pid = stack.enter_context(_namespaces())
        inside = _leading_into(pid)
        _run(*inside, "sh", "-ec", _NETWORK)
        (folder / "web").mkdir()
        stack.enter_context(_background(folder / "web.log", [*inside, *_WEB, str(folder / "web")]))
        plane = ControlPlane(folder, trustme.CA(), ADDRESS, inside)
        start_api_server(plane, stack, WITH_A_KUBELET)
        start_controllers(plane, stack, "*")
        _write_settings(folder)
        containerd = [*inside, "containerd", "--config", str(folder / "containerd.toml")]
        stack.enter_context(_background(folder / "containerd.log", containerd))
        plane.until((folder / "containerd.sock").exists)
        stack.enter_context(process(plane, "kubelet", _kubelet(plane)))
        plane.until(lambda: _is_ready(plane))
        stack.enter_context(process(plane, "kube-proxy", _proxy(plane)))
        stack.enter_context(process(plane, "kube-router", _router(plane)))
        yield plane


def load_image(plane: ControlPlane, archive: Path) -> None:
    """Have containerd take an image in."""
    socket = str(plane.folder / "containerd.sock")
    _run(*plane.inside, "ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", str(archive))


@contextmanager
def _namespaces() -> Iterator[int]:
    """The process whose end is the end of all; it ends with this one, too."""
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command = ["setpriv", "--pdeathsig", "KILL", *unshare, "bash", "-c", _INIT]
    _make_cgroups()
    outer = subprocess.Popen(command)
    try:
        yield _child(outer)
    finally:
        for child in psutil.Process(outer.pid).children():
            child.kill()
        outer.wait()
        _remove_cgroups()


def _child(outer: subprocess.Popen[bytes]) -> int:
    for _ in range(100):
        found = [one for one in psutil.Process(outer.pid).children() if one.name() == "bash"]
        if found:
            return found[0].pid
        time.sleep(0.05)
    raise RuntimeError("no namespaces are to be had here")


def _leading_into(pid: int) -> list[str]:
    return ["nsenter", f"--target={pid}", "--mount", "--net", "--pid", "--"]


@contextmanager
def _background(place: Path, command: Sequence[str]) -> Iterator[None]:
    with place.open("w") as log:
        started = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            started.terminate()
            started.wait()


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def _is_ready(plane: ControlPlane) -> bool:
    node = json.loads(plane.kubectl("get", "nodes", "--output", "json").stdout)["items"]
    conditions = [one for each in node for one in each["status"].get("conditions", ())]
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _cgroups() -> list[Path]:
    return [place / CGROUP for place in Path("/sys/fs/cgroup").iterdir() if place.is_dir()]


def _make_cgroups() -> None:
    for place in _cgroups():
        place.mkdir(exist_ok=True)
        shares = place / "cpu.shares"
        if shares.exists():
            shares.write_text("4096")  # of a whole cluster, not of one process among others
        cpus = place / "cpuset.cpus"
        if cpus.exists():
            for name in ("cpuset.cpus", "cpuset.mems"):
                (place / name).write_text((place.parent / name).read_text())


def _remove_cgroups() -> None:
    """From below; what has just ended is still in them for a moment."""
    for place in _cgroups():
        for _ in range(50):
            for path in sorted(place.rglob("*"), reverse=True):
                if path.is_dir():
                    with contextlib.suppress(OSError):
                        path.rmdir()
            with contextlib.suppress(OSError):
                place.rmdir()
            if not place.exists():
                break
            time.sleep(0.1)


def _write_settings(folder: Path) -> None:
    socket = folder / "containerd.sock"
    (folder / "cni").mkdir()
    (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    (folder / "cni" / "pods.conflist").write_text(json.dumps(_pod_network(folder)))
    (folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet_settings(folder)))
    (folder / "containerd.toml").write_text(f"""
version = 2
root = "{folder}/containerd"
state = "{folder}/containerd-state"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_PLUGINS}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
""")


def _pod_network(folder: Path) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": "10.244.0.0/24"}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(folder / "addresses"),
    }
    bridge = {"type": "bridge", "bridge": "pods0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}


def _kubelet_settings(folder: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{CGROUP}",
        "failSwapOn": False,
        "failCgroupV1": False,
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(folder / "resolv.conf"),
        "oomScoreAdj": 0,
        "healthzPort": 0,
        "imageGCHighThresholdPercent": 100,
        "podLogsDir": str(folder / "pods"),
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    }


def _kubelet(plane: ControlPlane) -> list[str]:
    folder = plane.folder
    return [
        f"--config={folder / 'kubelet.yaml'}",
        f"--kubeconfig={plane.nodes_kubeconfig}",
        f"--root-dir={folder / 'kubelet'}",
        f"--cert-dir={folder / 'kubelet-certificates'}",
        f"--hostname-override={NODE}",
        f"--node-ip={ADDRESS}",
    ]


def _proxy(plane: ControlPlane) -> list[str]:
    return [
        f"--kubeconfig={plane.kubeconfig}",
        f"--hostname-override={NODE}",
        "--proxy-mode=iptables",
        "--cluster-cidr=10.244.0.0/16",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    ]


def _router(plane: ControlPlane) -> list[str]:
    """Network policies alone."""
    return [
        f"--kubeconfig={plane.kubeconfig}",
        f"--hostname-override={NODE}",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--service-cluster-ip-range=10.96.0.0/16",
    ]
