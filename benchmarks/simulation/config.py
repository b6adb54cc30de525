"""The Serve config of the simulation: configs/serve-gpu.yaml, with what one small machine and one short day need."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from benchmarks.processes import deployment
from benchmarks.simulation import gpu
from deployments.catalogue.catalogue import HOME

ALWAYS_THERE, FROM_ZERO, TOO_LARGE = (
    "BAAI/bge-small-en-v1.5",
    "mixedbread-ai/mxbai-embed-large-v1",
    "prithivida/splade_pp_en_v1",
)
"""Models of the catalogue by the part that they play. The last one asks for more GPUs than a node has."""

REQUEST_TIMEOUT_S = 30
"""What the models may take for a request; also the wait of a first one."""

_DAY_S = 86_400.0
_SHORTEST_DELAY_S = 10.0


def serve_config(rest_port: int, grpc_port: int, day_s: float) -> dict[str, Any]:
    """What stands in configs/serve-gpu.yaml, altered.

    - one proxy, on ports of this machine; no image loader and no BM25; memory is not counted;
    - half a GPU for each replica and the large model's settings, whatever the model; sizes divided by `gpu.SCALE`;
    - delays of minutes, which are there for days of 24 hours, shortened: `day_s` is this one's length.
    """
    config = yaml.safe_load((HOME / "configs" / "serve-gpu.yaml").read_text())
    config["proxy_location"] = "HeadOnly"
    config["http_options"].update(host="127.0.0.1", port=rest_port)
    config["grpc_options"]["port"] = grpc_port
    (application,) = config["applications"]
    application["import_path"] = "benchmarks.simulation.gpu:build"
    application["args"]["models"] = [ALWAYS_THERE, FROM_ZERO, TOO_LARGE]
    settings = deployment(application, name_of(FROM_ZERO))["user_config"]
    application["deployments"] = [
        _ingress(deployment(application, "Ingress")),
        *(_model(deployment(application, name_of(model)), settings, day_s) for model in application["args"]["models"]),
    ]
    return dict(config)


def name_of(model: str) -> str:
    """The name of a model's deployment."""
    return model.replace("/", "--")


def _ingress(entry: Any) -> Any:
    """Two all day, the least of the file: these are real, and a third would take its cores from the two."""
    entry = copy.deepcopy(entry)
    entry["ray_actor_options"] = {"num_cpus": 1}
    entry["autoscaling_config"].update(min_replicas=2, max_replicas=2)
    settings = entry["user_config"]
    settings["timeout_s"] = REQUEST_TIMEOUT_S
    settings["coalescing"] = {
        "inputs": int(settings["coalescing"]["inputs"] / gpu.SCALE),
        "characters": int(settings["coalescing"]["characters"] / gpu.SCALE),
        "max_partial_batches": settings["coalescing"]["max_partial_batches"],
    }
    return entry


def _model(entry: Any, settings: Any, day_s: float) -> Any:
    entry = copy.deepcopy(entry)
    too_large = entry["name"] == name_of(TOO_LARGE)
    entry["ray_actor_options"] = {"num_cpus": 0, "num_gpus": 2 if too_large else gpu.SHARE}
    scaling = entry["autoscaling_config"]
    for delay in ("downscale_delay_s", "downscale_to_zero_delay_s"):
        if delay in scaling:
            scaling[delay] = max(_SHORTEST_DELAY_S, scaling[delay] * day_s / _DAY_S)
    entry["user_config"] = {
        "token_budget": int(settings["token_budget"] / gpu.SCALE),
        "streams": settings["streams"],
    }
    return entry
