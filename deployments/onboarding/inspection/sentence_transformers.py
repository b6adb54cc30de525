"""What sentence-transformers writes beside a checkpoint: its modules, pooling, window and prompts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.architectures.checkpoint import Config
from deployments.architectures.known import transformer
from deployments.architectures.projection import activation_of
from deployments.catalogue.card import Instruction, Prefixes
from deployments.errors import ModelError
from deployments.onboarding.inspection.repository import CONFIG, TENSORS, TOKENIZER, Repository

_POOLINGS = {"mean": "mean", "cls": "cls", "lasttoken": "last", "max": "max", "weightedmean": "weighted-mean"}
"""Its names of the poolings, and ours."""

_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}
"""How versions before 6 write a pooling."""

_NO_LIMIT = 10**9
"""From where on a tokenizer's limit says that it has none: transformers writes 10^30 then."""

_PASSAGES = ("document", "passage", "corpus")
"""The names under which it looks for the prompt of a stored text, in its order."""


_INSTRUCTION = re.compile(r"Instruct: (.+)(\nQuery: ?)")


@dataclass(frozen=True)
class Module:
    """One step of a model: the name of its class, and the folder of its settings."""

    name: str
    path: str


def modules(files: Repository) -> Sequence[Module]:
    """The steps that `modules.json` lists; none if there is no such file."""
    return [Module(item["type"].rpartition(".")[2], item["path"]) for item in files.content("modules.json") or ()]


def expect_modules(files: Repository, *known: str) -> None:
    """Make sure that a model has no steps but these, and its checkpoint where it is looked for.

    Raises:
        ModelError: names the step that is not known.
    """
    for module in modules(files):
        if module.name not in known:
            raise ModelError(f"modules.json: '{module.name}' cannot be run here, only {', '.join(known)}")
        if module.name == known[0] and module.path:
            raise ModelError(f"modules.json: the checkpoint lies in '{module.path}', not beside that file")


def pooling(files: Repository) -> tuple[str, bool]:
    """The pooling, and whether its result is normalized; without modules.json, mean and normalized.

    Raises:
        ModelError: the pooling cannot be done here.
    """
    found = modules(files)
    if not found:
        return "mean", True
    settings = [files.json(f"{module.path}/{CONFIG}") for module in found if module.name == "Pooling"]
    if len(settings) != 1:
        raise ModelError(f"modules.json: expected one 'Pooling', found {len(settings)}")
    mode = _mode(settings[0])
    if mode not in _POOLINGS:
        raise ModelError(f"pooling '{mode}' cannot be done here, only {', '.join(_POOLINGS)}")
    if settings[0].get("include_prompt") is False and prefixes(files) != Prefixes():
        raise ModelError("pooling with 'include_prompt: false' cannot be done here")
    return _POOLINGS[mode], any(module.name == "Normalize" for module in found)


def projections(files: Repository) -> Mapping[str, int]:
    """The folders of the linear layers behind the pooling, and how many numbers each gives.

    Raises:
        ModelError: one is of a kind that is not known here.
    """
    found: dict[str, int] = {}
    for module in modules(files):
        if module.name == "Dense":
            where = f"{module.path}/{CONFIG}"
            activation_of(files.json(where), where)
            found[module.path] = files.json(where).get("out_features", 0)
            if f"{module.path}/{TENSORS}" not in files.paths:
                raise ModelError(f"there is no {module.path}/{TENSORS}, which holds the weights of that module")
    return found


def matryoshka(files: Repository) -> Sequence[int]:
    """The lengths that the loss of the training had, as sentence-transformers writes them into README.md."""
    said = re.search(r'"matryoshka_dims":\s*\[([\d,\s]+)\]', files.text("README.md"))
    return sorted({int(number) for number in said[1].split(",") if number.strip()}) if said else ()


def _mode(settings: Mapping[str, Any]) -> str:
    mode = settings.get("pooling_mode") or [name for flag, name in _FLAGS.items() if settings.get(flag)]
    return mode if isinstance(mode, str) else " + ".join(mode)


def window(files: Repository) -> int:
    """How many tokens the model reads: what sentence-transformers was told, at most what it has positions for.

    Raises:
        ModelError: config.json does not say how many positions there are, or the text is changed beforehand.
    """
    told = files.json("sentence_bert_config.json")
    positions = _positions(files)
    if told.get("do_lower_case") and not _lowercases(files.json(TOKENIZER).get("normalizer")):
        raise ModelError(
            "sentence_bert_config.json: 'do_lower_case' without a tokenizer that does it cannot be run here"
        )
    return min(told_window(files) or positions, positions)


def _positions(files: Repository) -> int:
    if files.not_built() is None:
        return transformer(Config(files.folder)).positions
    positions = files.json(CONFIG).get("max_position_embeddings")
    if not isinstance(positions, int):
        raise ModelError(f"{CONFIG} has no 'max_position_embeddings'")
    return positions


def told_window(files: Repository) -> int | None:
    """The window that the files tell, of the model or of its tokenizer; None if its positions are all that is known."""
    told = files.json("sentence_bert_config.json").get("max_seq_length")
    limit = told or files.json("tokenizer_config.json").get("model_max_length")
    return int(limit) if isinstance(limit, (int, float)) and limit < _NO_LIMIT else None


def _lowercases(normalizer: Any) -> bool:
    """Whether a tokenizer's normalizer, or one that it consists of, makes letters small."""
    if not isinstance(normalizer, dict):
        return False
    if normalizer.get("type") == "Lowercase" or normalizer.get("lowercase") is True:
        return True
    return any(_lowercases(part) for part in normalizer.get("normalizers", ()))


def instruction(files: Repository) -> Instruction | None:
    """What queries are told, if their prompt has the form that Qwen3 and e5-instruct have."""
    found = _INSTRUCTION.fullmatch(prefixes(files).query)
    return Instruction(form=f"Instruct: {{instruction}}{found[2]}", default=found[1]) if found else None


def prefixes(files: Repository) -> Prefixes:
    """The prompts of queries and of stored texts; the default prompt for what has none of its own."""
    settings = files.json("config_sentence_transformers.json")
    prompts: dict[str, str] = {name: text or "" for name, text in (settings.get("prompts") or {}).items()}
    default = prompts.get(str(settings.get("default_prompt_name")), "")
    passage = next((prompts[name] for name in _PASSAGES if name in prompts), default)
    return Prefixes(query=prompts.get("query", default), passage=passage)
