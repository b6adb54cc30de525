"""A whole service on this machine: Ray, Ray Serve and HAProxy, started from a Serve config file and stopped again.

Ray Serve reads its settings from the environment when it is imported. The imports of `ray` stand inside functions
here, because the environment has to be set before them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from typing_extensions import Self

from deployments.catalogue.card import ModelCard
from deployments.catalogue.records import validated
from deployments.errors import ConfigError, SetupError
from serve_app.cli.config_check import check_content
from serve_app.cli.neighbours import is_reached
from serve_app.cli.ports import Advice, check_free, is_free
from serve_app.cli.ray_processes import only_what_one_machine_needs
from serve_app.cli.run_folder import RunFolder
from serve_app.cli.serve_config import AS_IN_THE_FILE, Overrides, read
from serve_app.cli.worker_paths import job_config
from serve_app.config import arguments, environment
from serve_app.config.ray_environment import set_ray_environment
from serve_app.front import haproxy, sockets

if TYPE_CHECKING:
    from ray.serve.schema import ServeDeploySchema

_FIRST_PORT, _PORT_RANGES, _PORTS_EACH = 21000, 50, 20
"""Below the ports that systems hand out to outgoing connections (on Linux from 32768 on), any of which may be taken."""

_START_TIMEOUT_S = 300.0
_INNER = "127.0.0.1"
_STOP_TIMEOUT_S = 20.0
_END_TIMEOUT_S = 2.0
_ROUNDS = 3
_POLL_S = 0.5
"""Each look costs this process and the controller some 10 ms of a core while all others want it."""

Progress = Callable[[Mapping[str, str]], None]
"""Called with the state of every deployment while they start."""


class Service:
    """A service from start to stop. Use as a context: leaving it stops everything that was started.

    Raises:
        ConfigError: the Serve config file is wrong; names the file, the line, the key, and what was expected.
    """

    def __init__(self, config_path: Path, overrides: Overrides = AS_IN_THE_FILE) -> None:
        os.umask(0o077)  # what this process and those that it starts write is for nobody else to read
        self._run = RunFolder()
        self._folder = self._run.path
        set_ray_environment(self._folder)
        try:
            self.config = _read_config(config_path, overrides)
            os.environ.update(_inner_ports(self.config.http_options.port))
            if not sockets.is_local(self.config.http_options.host):
                os.environ[haproxy.PUBLIC] = self.config.http_options.host
            os.environ.setdefault("QDRANT_INFERENCE_GRPC_PORT", str(self.config.grpc_options.port))
        except ConfigError:
            self._run.remove()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def rest_address(self) -> str:
        """Where the REST API answers."""
        return f"http://{_reachable(self.config.http_options.host)}:{self.config.http_options.port}"

    @property
    def grpc_address(self) -> str:
        """Where the gRPC API answers."""
        return f"{_reachable(self.config.http_options.host)}:{self.config.grpc_options.port}"

    @property
    def logs(self) -> Path:
        """The folder of the logs, once Ray has started."""
        from ray._private import worker  # noqa: PLC0415  Ray tells it nowhere else

        node = worker._global_node  # noqa: SLF001
        if node is None:
            raise SetupError("Ray has not started")
        return Path(node.get_logs_dir_path(), "serve")

    @property
    def metrics_address(self) -> str:
        """Where Prometheus finds the metrics of all processes, once Ray has started."""
        import ray  # noqa: PLC0415

        (node,) = ray.nodes()  # type: ignore[no-untyped-call]
        return f"http://localhost:{node['MetricsExportPort']}/metrics"

    def models(self) -> Sequence[ModelCard]:
        """The models that will be served."""
        return [card for a in self.config.applications for card in arguments.served(arguments.read(a.args)).cards]

    def check_ports(self, advice: Advice) -> None:
        """Check that all ports are free; `advice` says what to do about those that are not.

        Raises:
            ConfigError: names each port that is taken and its holder.
        """
        from ray.serve._private import constants  # noqa: PLC0415

        host = self.config.http_options.host
        check_free(
            {
                "REST": (host, self.config.http_options.port),
                "gRPC": (host, self.config.grpc_options.port),
                "HAProxy statistics": ("", constants.RAY_SERVE_HAPROXY_STATS_PORT),
                "HAProxy metrics": ("", constants.RAY_SERVE_HAPROXY_METRICS_PORT),
            },
            advice,
        )

    def start(self, progress: Progress) -> None:
        """Start Ray and Ray Serve, and wait until every deployment is ready.

        Raises:
            SetupError: a deployment could not start; says which and why.
        """
        import ray  # noqa: PLC0415
        from ray.serve._private.api import serve_start  # noqa: PLC0415  what `serve run FILE` does

        logging.getLogger("ray.serve").setLevel(logging.WARNING)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "include_dashboard": False}
        port = environment.read().qdrant_inference_metrics_port or None
        folder = str(self._folder / "ray")
        try:
            with only_what_one_machine_needs():
                ray.init(
                    address="local",
                    namespace="serve",
                    job_config=job_config(),
                    _metrics_export_port=port,
                    _temp_dir=folder,
                    **quiet,
                )
        except Exception as error:  # Ray raises no kind of its own, such as for a node that is not there after 30 s
            raise SetupError(f"Ray did not start: {error}", "if this machine is busy, try again") from error
        try:
            client = serve_start(
                http_options=_of_this_machine(self.config.http_options.model_dump()),
                grpc_options=self.config.grpc_options.model_dump(),
                proxy_location=self.config.proxy_location,
            )
            client.deploy_apps(self.config, _blocking=False)
        except (ray.exceptions.RayError, RuntimeError, TimeoutError, ValueError) as error:
            raise SetupError(f"Ray Serve did not start: {_gist(str(error))}") from error
        self._wait(progress)
        self._check_sockets()

    def _check_sockets(self) -> None:
        """Make sure that nothing listens beyond this machine but what the configuration opens."""
        http, grpc = self.config.http_options, self.config.grpc_options
        public = () if sockets.is_local(http.host) else (http.port, grpc.port)
        own = sockets.of_process(psutil.Process())  # the secret came into its environment after its start
        open_ones = sockets.unexpected([*own, *sockets.of_this_run(os.environ[haproxy.SECRET])], public)
        if open_ones:
            listed = "; ".join(f"{one.process} at {one.host}:{one.port} ({one.kind})" for one in open_ones)
            raise SetupError(f"these listen on other addresses than this machine's own, and should not: {listed}")

    def _wait(self, progress: Progress) -> None:
        from ray import serve  # noqa: PLC0415
        from ray.serve.context import _get_global_client  # noqa: PLC0415

        # `serve.status()` tells the state of the proxies too, but costs 50 ms of this machine's time at each call.
        client: Any = _get_global_client()
        named = {application.name for application in self.config.applications}
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            # Not those of models that were added: they come when the ingress has read its ledger.
            applications = [one for one in client.list_serve_statuses() if one.name in named]
            progress({d.name: d.status.value for a in applications for d in a.deployment_statuses})
            for application in applications:
                if application.app_status.status.value in {"DEPLOY_FAILED", "UNHEALTHY"}:
                    raise SetupError(_reason(application))
            if applications and {a.app_status.status.value for a in applications} == {"RUNNING"}:
                proxies = serve.status().proxies.values()
                healthy = {proxy.value for proxy in proxies} == {"HEALTHY"}
                if healthy and self._is_reached():
                    return
            time.sleep(_POLL_S)
        raise SetupError(f"not ready after {_START_TIMEOUT_S:.0f} s")

    def _is_reached(self) -> bool:
        """Whether callers are answered. A Qdrant of somebody else's may be away; our own store has to be there."""
        http = self.config.http_options
        return is_reached(http.port, _reachable(http.host), with_store=not environment.read().qdrant_url)

    def stop(self) -> None:
        """Stop Ray Serve and then Ray, so that no process, port or file of ours is left; safe to call at any time.

        Requests under way have some seconds to end; new ones find nobody who listens.
        """
        import ray  # noqa: PLC0415
        from ray import serve  # noqa: PLC0415

        try:
            _drain(self._haproxies())
            if ray.is_initialized():
                serve.shutdown()  # type: ignore[no-untyped-call]
        finally:
            there = self._processes()  # Ray's agents live on for some seconds, as nobody's children
            ray.shutdown()
            _end(there)
            self.cut_off()

    def cut_off(self) -> None:
        """End all processes that are there, such as those of a start that was interrupted: nobody is served by them.

        Ray cannot stop a half of itself: it forgets processes, and crashes, in the interpreter's usual end too.
        """
        for _ in range(_ROUNDS):  # a process may have started another one meanwhile
            _end(self._processes())
        self._run.end()

    def _processes(self) -> list[psutil.Process]:
        """Those of this service: our children with its folder in their command, what has its secret, and HAProxy.

        And what these have started: a title may hide the secret.
        """
        of_this_run = sockets.processes_of_this_run(os.environ[haproxy.SECRET])
        found = {*_children_with(str(self._folder)), *of_this_run, *self._haproxies()}
        return list({one for process in found for one in _with_children(process)})

    def _haproxies(self) -> list[psutil.Process]:
        """The HAProxy processes of this service, known by the folder of their configuration."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(part.startswith(str(self._folder)) for part in process.info["cmdline"] or ())
        ]


def _children_with(word: str) -> Iterator[psutil.Process]:
    """The processes that this one has started with a word in their command line."""
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if any(word in part for part in process.cmdline()):
                yield process


def _with_children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [process]


def _inner_ports(rest_port: int) -> dict[str, str]:
    """Ports that no other service on this machine uses, for what shares a port instead of refusing one that is taken.

    Two services would answer each other's requests there: with 404, or not at all. So do the ingress replicas' gRPC
    servers (Ray Serve's option against it is a string, where gRPC takes a number), and Ray Serve's own proxy, to which
    HAProxy sends all requests while there is no ingress replica, and while a config update builds the application.
    """
    for attempt in range(_PORT_RANGES):
        first = _FIRST_PORT + (rest_port + attempt) % _PORT_RANGES * _PORTS_EACH
        proxy = first + _PORTS_EACH - 2
        if all(is_free("", port) for port in (first, proxy, proxy + 1)):
            return {
                "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(first),
                "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(proxy - 1),
                "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(proxy),
                "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(proxy + 1),
            }
    raise ConfigError(f"no port is free from {_FIRST_PORT} on, for the service's own use")


def _of_this_machine(options: Mapping[str, Any]) -> dict[str, Any]:
    """Where Ray Serve's own proxy listens, to which HAProxy falls back: HAProxy alone is there for others."""
    return {**options, "host": options["host"] if sockets.is_local(options["host"]) else _INNER}


def _gist(said: str) -> str:
    """Of a remote traceback the ports that HAProxy did not get, or the last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    taken = [line.rpartition(": ")[2] for line in lines if "cannot bind socket" in line]
    return ", ".join(taken) or (lines or ["it gave no reason"])[-1]


def _read_config(path: Path, overrides: Overrides) -> ServeDeploySchema:
    from ray.serve.schema import ServeDeploySchema  # noqa: PLC0415

    content, origin = read(path)
    check_content(content, origin)
    return validated(ServeDeploySchema, overrides.apply(content), origin)


def _reachable(host: str) -> str:
    return "localhost" if host in {"0.0.0.0", "::", "127.0.0.1"} else host  # noqa: S104


def _reason(application: Any) -> str:
    """What Serve says of a failed application: of a traceback only our own error, where it has one."""
    deployments = application.deployment_statuses
    failed = [d.message for d in deployments if d.status.value in {"UNHEALTHY", "DEPLOY_FAILED"}]
    message = "\n".join(failed) or str(application.app_status.message)
    ours = [line for line in message.splitlines() if line.startswith("deployments.errors.")]
    return ours[-1].partition(": ")[2] if ours else message


def _drain(haproxies: list[psutil.Process]) -> None:
    """Have HAProxy end after the requests that are under way: Ray Serve would kill it first of all, and cut them off.

    One that is told so (SIGUSR1) closes its ports and idle connections, and ends itself after `hard-stop-after`.
    """
    for process in haproxies:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGUSR1)
    psutil.wait_procs(haproxies, timeout=_STOP_TIMEOUT_S)


def _end(processes: Sequence[psutil.Process], patience_s: float = _END_TIMEOUT_S) -> None:
    """End what has nothing to finish any more."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=patience_s)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=patience_s)
