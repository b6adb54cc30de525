"""The examples below the help of each command. Each stands in a paragraph of its own, or they would run together."""

from __future__ import annotations


def _shown(*commands: tuple[str, str]) -> str:
    return "\n\n".join(
        ["[bold]Examples[/]", *(f"[dim]{why}:[/] qdrant-inference {command}" for why, command in commands)]
    )


UP = _shown(
    ("the embedded store and the starter models", "up"),
    ("in front of a Qdrant on 6333", "up --qdrant http://localhost:6333 --port 6343"),
    ("one model of your own catalogue", "up --catalogue ~/.config/qdrant-inference/own.yaml --models shop/products"),
    ("your own Serve config file", "up --config serve.yaml"),
)
DEMO = _shown(
    ("against the service on 6333, or a new one", "demo"),
    ("against another one, all written anew", "demo --url http://localhost:6343 --again"),
)
STORE = _shown(
    ("a small Qdrant in a folder of its own", "store --folder ./data --rest-port 7333 --grpc-port 7334"),
    ("a folder of an older version", "store migrate"),
)
LIST = _shown(("what Qdrant Cloud serves", "models list --catalogue configs/models/qdrant-cloud.yaml"))
SHOW = _shown(("what the catalogue says of one", "models show qdrant/bm25"))
PULL = _shown(
    ("all of the starter catalogue", "models pull"),
    (
        "one of another catalogue",
        "models pull intfloat/multilingual-e5-small --catalogue configs/models/qdrant-cloud.yaml",
    ),
)
VERIFY = _shown(("sizes only, which takes no time", "models verify --quick"))
REMOVE = _shown(
    ("give disk space back", "models remove starter/splade-tiny"),
    ("take it out of a running service", "models remove shop/products --url http://localhost:6333"),
)
BENCH = _shown(("in full precision", "models bench sentence-transformers/all-minilm-l6-v2 --precision float32"))
ADD = _shown(
    ("a folder with a checkpoint", "models add ./my-model --name shop/products"),
    ("a repository of the model hub, at a commit", "models add intfloat/e5-small-v2 --revision main"),
    ("to a service that runs", "models add intfloat/e5-small-v2 --url http://localhost:6333"),
)
CHECK = _shown(
    ("nodes of your own size", "config check serve.yaml --node-cpus 16 --node-memory 64Gi"),
    ("a manifest for KubeRay", "config check k8s/base/rayservice.yaml"),
)
CONFIG = _shown(("a start for your own", "config show configs/serve-local.yaml > serve.yaml"))
