"""HAProxy as it is started: with what Ray Serve writes, made stricter."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from ray.serve._private.common import RequestProtocol
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions, gRPCOptions

from serve_app.front import haproxy
from tests.support.running import free_ports

SECRET_VALUE = "a-secret-of-the-tests"
WAIT_S = 1
ONE_REPLICA = {"http-app": ("replica",), "grpc-app": ("replica",)}
ADD_TO_SERVER = "serve_app.protocol.grpc_services.add_to_server"


class Front:
    """A configuration by Ray Serve itself, for a backend at `backend`."""

    def __init__(
        self,
        folder: Path,
        backend: int = 30000,
        grpc_backend: int | None = None,
        *,
        draining: bool = False,
        names: Mapping[str, Sequence[str]] = ONE_REPLICA,
    ) -> None:
        """`backend` is the replica's port for HTTP, `grpc_backend` that for gRPC if it is another one.

        `names` are those of replicas, by that of Ray Serve's backend. Its own proxy does not run.
        """
        self.rest, self.grpc, self.stats, self.metrics = free_ports(4)
        self.file = folder / "haproxy.cfg"
        config = HAProxyConfig(
            http_options=HTTPOptions(host="127.0.0.1", port=self.rest, keep_alive_timeout_s=30),
            grpc_options=gRPCOptions(port=self.grpc, grpc_servicer_functions=[ADD_TO_SERVER]),
            socket_path=str(folder / "admin.sock"),
            server_state_base=str(folder),
            server_state_file=str(folder / "state"),
            metrics_socket_path=str(folder / "metrics.sock"),
            stats_port=self.stats,
            metrics_port=self.metrics,
            metrics_enabled=False,  # as `up` has it
            has_received_routes=True,
            is_head=True,
            log_target=str(folder / "log.sock"),
            pass_health_checks=not draining,
        )
        ports = {"http": backend, "grpc": grpc_backend or backend}
        backends = {name: _backend(name, replicas, ports[name[:4]]) for name, replicas in names.items()}
        api = HAProxyApi(cfg=config, config_file_path=str(self.file), backend_configs=backends)
        api._generate_config_file_internal()


def _backend(name: str, replicas: Sequence[str], port: int) -> BackendConfig:
    servers = [ServerConfig(name=one, host="127.0.0.1", port=port) for one in replicas]
    protocol, _, application = name.partition("-")
    kind = RequestProtocol.HTTP if protocol == "http" else RequestProtocol.GRPC
    proxy = ServerConfig(name="proxy", host="127.0.0.1", port=1)
    return BackendConfig(
        name=name, path_prefix="/", servers=servers, app_name=application, protocol=kind, fallback_server=proxy
    )


@contextmanager
def started(front: Front) -> Iterator[Front]:
    """HAProxy itself, by the program that Ray Serve would start, with waits of a second."""
    program = front.file.parent / "program.py"
    program.write_text(Path(haproxy.__file__).read_text().replace("WAIT_S = 15", f"WAIT_S = {WAIT_S}"))
    variables = {**os.environ, haproxy.SECRET: SECRET_VALUE, haproxy.HOST: "127.0.0.1", haproxy.RAYS_BINARY: "itself"}
    arguments = [sys.executable, "-I", str(program), "-db", "-f", str(front.file)]
    with subprocess.Popen(arguments, env=variables, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not talk(front, b"GET /-/routes HTTP/1.1\r\nhost: x\r\n\r\n"):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        yield front
        process.kill()


def talk(front: Front, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """The beginning of what comes back for some bytes; empty where nothing does before the connection ends.

    Raises:
        TimeoutError: the connection has not ended either.
    """
    try:
        with socket.create_connection(("127.0.0.1", front.rest), timeout=10 * WAIT_S) as connection:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause_s)
            return connection.recv(1000)
    except (ConnectionError, BrokenPipeError):
        return b""
