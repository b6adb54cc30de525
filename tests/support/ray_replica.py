"""A replica of Ray Serve's without a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ray.serve._private.replica import Replica, UserCallableWrapper
from ray.serve._private.utils import Semaphore


class Metrics:
    """What Ray Serve counts."""

    def __init__(self) -> None:
        self.ongoing = 0
        self.ended: list[tuple[str, str, bool]] = []

    def inc_num_ongoing_requests(self, metadata: Any) -> None:
        self.ongoing += 1

    def get_num_ongoing_requests(self) -> int:
        return self.ongoing

    def dec_num_ongoing_requests(self, metadata: Any) -> None:
        self.ongoing -= 1

    def record_request_metrics(self, **told: Any) -> None:
        assert told["latency_ms"] >= 0

    def record_ingress_request_metrics(self, **told: Any) -> None:
        self.ended.append((told["method"], told["status_code"], told["is_error"]))


def ray_replica(deployment: object, running: int = 10, queued: int = -1, timeout_s: float | None = 600.0) -> Any:
    """A replica of Ray Serve's in this process, without a cluster."""
    made: Any = Replica.__new__(Replica)
    made._deployment_config = SimpleNamespace(
        max_ongoing_requests=running, max_queued_requests=queued, graceful_shutdown_wait_loop_s=0.01
    )
    made._deployment_id = SimpleNamespace(app_name="app", name="Ingress")
    made._grpc_options = SimpleNamespace(request_timeout_s=timeout_s)
    made._semaphore = Semaphore(lambda: made.max_ongoing_requests)
    made._metrics_manager = Metrics()
    made._num_queued_requests, made._reserved_slots = 0, set()
    made._quiescing, made._ingress = False, True
    made._access_log_context = {}
    made._user_callable_wrapper = wrapper = UserCallableWrapper(
        type(deployment),
        (),
        {},
        deployment_id=made._deployment_id,
        run_sync_methods_in_threadpool=False,
        run_user_code_in_separate_thread=False,
        local_testing_mode=True,
        deployment_config=made._deployment_config,
        actor_id="",
    )
    wrapper._callable = deployment
    return made


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds, at most some 20 s."""
    for _ in range(4000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come about")
