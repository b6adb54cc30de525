"""What is used of a replica of Ray Serve's below its public interface, all of it here.

A request that the ingress answers without Ray Serve's own handling of each still counts: against
`max_ongoing_requests` and `max_queued_requests`, for autoscaling, for a replica that waits for its last requests before
it stops, and in Ray Serve's metrics.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Literal

from ray.serve._private.common import RequestMetadata, RequestProtocol
from ray.serve._private.constants import RAY_SERVE_GRPC_MAX_MESSAGE_SIZE
from ray.serve._private.http_util import ASGIAppReplicaWrapper
from ray.serve._private.replica import Replica
from ray.serve._private.utils import generate_request_id

USED = {
    "Replica": (
        "_can_accept_request", "_deployment_id", "_grpc_options", "_metrics_manager", "_num_queued_requests",
        "_semaphore", "_user_callable_wrapper",
    ),
    "ReplicaMetricsManager": (
        "dec_num_ongoing_requests", "inc_num_ongoing_requests", "record_ingress_request_metrics",
        "record_request_metrics",
    ),
    "Semaphore": ("acquire", "release"),
    "UserCallableWrapper": ("event_loop", "user_callable"),
}  # fmt: skip
"""The names, by the class that has them: a test looks for each."""

new_request_id = generate_request_id

GRPC_MAX_BYTES: int = RAY_SERVE_GRPC_MAX_MESSAGE_SIZE
"""How long a message of gRPC's may be."""


def replica_of(method: Any) -> Any:
    """The replica whose bound method this is (one of those that its servers call); None if it is of something else."""
    owner = getattr(method, "__self__", None)
    return owner if isinstance(owner, Replica) else None


def deployed(replica: Any) -> Any:
    """The object that the replica is there for; None if a thread of its own runs it, as Ray Serve alone can."""
    wrapper = replica._user_callable_wrapper  # noqa: SLF001
    return wrapper.user_callable if wrapper.event_loop is asyncio.get_running_loop() else None


def asgi_app(deployment: Any) -> Any:
    """The app of a deployment that is one; None if it is none."""
    return deployment.app if isinstance(deployment, ASGIAppReplicaWrapper) else None


def grpc_timeout_s(replica: Any) -> float | None:
    """After how many seconds a call is given up, by the Serve config file."""
    options = replica._grpc_options  # noqa: SLF001
    seconds: float | None = options.request_timeout_s
    return seconds


class OngoingRequests:
    """A replica's requests of one protocol, begun and ended here."""

    def __init__(self, replica: Any, protocol: Literal["HTTP", "gRPC"]) -> None:
        self._replica = replica
        self._protocol = RequestProtocol(protocol)
        self._semaphore = replica._semaphore  # noqa: SLF001
        self._metrics = replica._metrics_manager  # noqa: SLF001
        names = replica._deployment_id  # noqa: SLF001
        self.application: str = names.app_name
        self._deployment: str = names.name
        self._any = RequestMetadata("", "", _request_protocol=self._protocol, is_direct_ingress=True)

    @property
    def are_too_many(self) -> bool:
        """Whether so many wait already that one more is refused (`max_queued_requests`)."""
        return not self._replica._can_accept_request(self._any)  # noqa: SLF001

    async def begin(self) -> float:
        """Wait until it is a request's turn (`max_ongoing_requests`); when it came in, for `end`."""
        came_in = perf_counter()
        self._replica._num_queued_requests += 1  # noqa: SLF001
        try:
            await self._semaphore.acquire()
        finally:
            self._replica._num_queued_requests -= 1  # noqa: SLF001
        self._metrics.inc_num_ongoing_requests(self._any)
        return came_in

    def end(self, came_in: float, method: str, status: str, *, is_error: bool) -> None:
        """The request is over. `status` is its protocol's; `is_error`: it was broken off."""
        self._metrics.dec_num_ongoing_requests(self._any)
        self._semaphore.release()
        latency_ms = (perf_counter() - came_in) * 1000
        self._metrics.record_request_metrics(
            route=self.application, latency_ms=latency_ms, is_error=is_error, exception_type=status
        )
        self._metrics.record_ingress_request_metrics(
            protocol=self._protocol,
            method=method,
            route=self.application,
            app_name=self.application,
            deployment_name=self._deployment,
            latency_ms=latency_ms,
            is_error=is_error,
            status_code=status,
        )
