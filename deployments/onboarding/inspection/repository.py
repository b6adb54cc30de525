"""The files of a model as its repository or folder lays them out: which there are, and what the small ones say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deployments.architectures.checkpoint import Config
from deployments.architectures.known import missing
from deployments.catalogue.card import File
from deployments.errors import ModelError, ModelFilesError, reason

TOKENIZER = "tokenizer.json"
CONFIG = "config.json"
TENSORS = "model.safetensors"
INDEX = "model.safetensors.index.json"

_ONNX = ("model.onnx", "onnx/model.onnx")

_SIDED = ("clip", "siglip")
"""Model types of texts and images, which `known` does not list."""


class Repository:
    """A folder with at least the small files of a model, and the paths of all files that there are."""

    def __init__(self, folder: Path, paths: frozenset[str]) -> None:
        self.folder = folder
        self.paths = paths

    def json(self, path: str) -> dict[str, Any]:
        """What a JSON file says; nothing if there is none.

        Raises:
            ModelFilesError: it is damaged, or holds no object.
        """
        content = self.content(path)
        if content is None:
            return {}
        if not isinstance(content, dict):
            raise ModelFilesError(f"{path}: expected a JSON object")
        return content

    def content(self, path: str) -> Any:
        """What a JSON file holds; None if there is none.

        Raises:
            ModelFilesError: it is damaged.
        """
        if path not in self.paths:
            return None
        try:
            return json.loads((self.folder / path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ModelFilesError(f"{path}: {reason(error)}") from error
        except ValueError as error:
            raise ModelFilesError(f"{path}: {error}") from error

    def weights(self) -> dict[str, File]:
        """The files with the weights, by the names under which they are loaded.

        Raises:
            ModelError: there are none in a format that can be read here; says how to convert what there is.
        """
        plain = self._tensors()
        reason = self.not_built() if plain else None
        if plain and reason is None:
            return plain
        for path in _ONNX:
            if path in self.paths:
                return self._onnx(path)
        if plain:
            raise ModelError(f"{reason}; and there is no {_ONNX[0]}, which would be taken as it is")
        if "pytorch_model.bin" in self.paths:
            raise ModelError(
                "there is only pytorch_model.bin, which is not read here, because reading it can run code; "
                "transformers writes model.safetensors: AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER)"
            )
        raise ModelError("there are no weights: neither model.safetensors nor model.onnx")

    def not_built(self) -> str | None:
        """Why no graph can be made of the checkpoint here, so that a ready file is needed; None if one can."""
        config = Config(self.folder)
        return None if config.setting("model_type", default="") in _SIDED else missing(config)

    def _onnx(self, path: str) -> dict[str, File]:
        """A ready file, and the one beside it that holds its weights, if they are apart; it is called so inside."""
        weights = [name for name in (f"{path}_data", f"{path}.data") if name in self.paths]
        folder = path.rpartition("/")[0]
        names = {"model.onnx": path} | {name.removeprefix(f"{folder}/"): name for name in weights}
        return {name: File(path=None if name == where else where) for name, where in names.items()}

    def _tensors(self) -> dict[str, File]:
        if INDEX in self.paths:
            parts = sorted(set(self.json(INDEX).get("weight_map", {}).values()))
            return {INDEX: File(), **{name: File() for name in parts}}
        return {TENSORS: File()} if TENSORS in self.paths else {}

    def expect_tokenizer(self) -> None:
        """Make sure that there is a tokenizer that can be read here.

        Raises:
            ModelError: there is none; says how to convert what there is.
        """
        if TOKENIZER in self.paths:
            return
        others = sorted(self.paths & {"vocab.txt", "vocab.json", "sentencepiece.bpe.model", "spiece.model"})
        raise ModelError(
            f"there is no {TOKENIZER}{', only ' + ' and '.join(others) if others else ''}; "
            "transformers writes it: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )

    def token(self, text: str) -> int:
        """The id of a token.

        Raises:
            ModelError: the tokenizer has no such token.
        """
        tokenizer = self.json(TOKENIZER)
        ids: dict[str, int] = {item["content"]: item["id"] for item in tokenizer.get("added_tokens", ())}
        vocabulary = tokenizer.get("model", {}).get("vocab", {})
        if isinstance(vocabulary, Mapping):
            ids = {**vocabulary, **ids}
        if text not in ids:
            raise ModelError(f"{TOKENIZER} has no token '{text}'")
        return ids[text]

    def text(self, path: str) -> str:
        """What a file says; nothing if there is none."""
        return (self.folder / path).read_text(encoding="utf-8") if path in self.paths else ""

    def licence(self) -> str:
        """The licence that the head of README.md states."""
        head = re.match(r"---\n(.*?)\n---", self.text("README.md"), re.DOTALL)
        try:
            stated = (yaml.safe_load(head[1]) or {}).get("license") if head else None
        except (yaml.YAMLError, AttributeError):
            stated = None
        return str(stated or "not stated")
