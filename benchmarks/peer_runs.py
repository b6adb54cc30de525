"""What a user would take instead, on the same texts and the same model file.

Their packages exclude ours (there can be only one onnxruntime), so they live in an environment of their own, which
`make bench-peers` sets up; each runs as a script there (`peers/`). One that is not installed is reported as such.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import onnx_file
from deployments.catalogue.catalogue import HOME

_PYTHON = HOME / ".venv-peers" / "bin" / "python"
CLIENT_SIDE = "qdrant-client with fastembed"
_SCRIPTS = {
    CLIENT_SIDE: "fastembed_client.py",
    "fastembed, its defaults": "fastembed_alone.py",
    "sentence-transformers": "sentence_transformers_alone.py",
    "infinity-emb": "infinity_alone.py",
    "libembedding-ng": "libembedding_alone.py",
}
_TIMEOUT_S = 900


def measure(corpus: Sequence[str]) -> dict[str, float | str]:
    """Texts a second of each, or why there is no figure."""
    with tempfile.TemporaryDirectory() as folder:
        onnx_file.write(Path(folder))
        peers = HOME / "benchmarks" / "peers"
        return {name: _run(peers / script, folder, corpus) for name, script in _SCRIPTS.items()}


def _run(script: Path, folder: str, corpus: Sequence[str]) -> float | str:
    if not _PYTHON.exists():
        return "not installed: make bench-peers"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    done = subprocess.run(
        [str(_PYTHON), str(script), folder],
        input=json.dumps(list(corpus)), capture_output=True, text=True, timeout=_TIMEOUT_S, env=environment,
        check=False,
    )  # fmt: skip
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1][:100]}"
    return float(json.loads(done.stdout.strip().splitlines()[-1])["texts_per_second"])
