"""A tiny BERT as a team that fine-tunes one with sentence-transformers has it in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from tests.support import tiny

LETTERS = "abcdefghijklmnopqrstu"
TOKENS = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [*TOKENS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]

MODULES = {
    "Transformer": "sentence_transformers.models.Transformer",
    "Pooling": "sentence_transformers.models.Pooling",
    "Normalize": "sentence_transformers.models.Normalize",
    "Dense": "sentence_transformers.models.Dense",
}


def write(folder: Path, **config: Any) -> Path:
    """A plain BERT with its tokenizer; `config` goes into its config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny.write(folder, tiny.bert_tensors(), **{"architectures": ["BertModel"], **config})
    write_tokenizer(folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    """A tokenizer that knows most letters."""
    tokenizer = Tokenizer(WordPiece({token: number for number, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    ends = [("[CLS]", VOCABULARY.index("[CLS]")), ("[SEP]", VOCABULARY.index("[SEP]"))]
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.add_special_tokens(TOKENS)
    tokenizer.save(str(folder / "tokenizer.json"))


def write_json(folder: Path, **files: Any) -> None:
    """JSON files by name; `__` in a name stands for a folder's slash, and `.json` is left out."""
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))


def modules(*names: str) -> list[dict[str, Any]]:
    """What modules.json says of these modules."""
    return [
        {"idx": index, "name": str(index), "path": f"{index}_{name}" if index else "", "type": MODULES.get(name, name)}
        for index, name in enumerate(names)
    ]


def fine_tuned(folder: Path) -> Path:
    """CLS pooling, normalized, 32 tokens, prompts for both directions, and a licence."""
    write(folder)
    write_json(
        folder,
        modules=modules("Transformer", "Pooling", "Normalize"),
        sentence_bert_config={"max_seq_length": 32, "do_lower_case": False},
        config_sentence_transformers={"prompts": {"query": "ask: ", "document": "tell: "}},
    )
    write_json(folder, **{"1_Pooling__config": {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}})
    (folder / "README.md").write_text("---\nlicense: mit\nlanguage: en\n---\n# Ours\n")
    return folder
