"""Gives a running service a new Serve config, as `serve deploy` does: `python -m tests.chaos.deploy ADDRESS CONFIG`.

It ends when the application runs as the config says.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

_PATIENCE_S = 150


def main(address: str, config: Path) -> None:
    """Deploy, and wait."""
    import ray  # noqa: PLC0415  it reads the environment when it is imported
    from ray.serve.context import _get_global_client  # noqa: PLC0415
    from ray.serve.schema import ServeDeploySchema  # noqa: PLC0415

    from deployments.catalogue.records import from_file  # noqa: PLC0415

    ray.init(address=address, namespace="serve", log_to_driver=False)
    client: Any = _get_global_client()
    client.deploy_apps(from_file(ServeDeploySchema, config), _blocking=False)
    deadline = time.monotonic() + _PATIENCE_S
    time.sleep(1)
    while {a.app_status.status.value for a in client.list_serve_statuses()} != {"RUNNING"}:
        if time.monotonic() > deadline:
            raise TimeoutError("the new config is not running")
        time.sleep(0.3)


main(sys.argv[1], Path(sys.argv[2]))
