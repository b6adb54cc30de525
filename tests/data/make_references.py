"""Makes references.npz: what PyTorch computes from the starter models' files, for our own graphs to be held against.

    python tests/data/make_references.py MINILM SPLADE CLIP

The arguments are the folders of the models' files. The stored file was made with Python 3.11, torch 2.15.0,
transformers 5.23.0 and numpy 2.4.6 on a CPU, in float32, one input at a time, so that no padding took part.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoModelForMaskedLM, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

TEXTS = [
    "Recipe for baking chocolate chip cookies",
    "the capital of France is Paris",
    "a",
    "",
    "Crème brûlée 🍮 and 🤖 robots, naïve façade — \N{LEFT DOUBLE QUOTATION MARK}quoted\N{RIGHT DOUBLE QUOTATION MARK}",
    "巴黎是法国的首都。北京是中国的首都。",
    "Supercalifragilisticexpialidocious pneumonoultramicroscopicsilicovolcanoconiosis",
    "The quick brown fox jumps over the lazy dog. " * 9,
    "Vectors are stored in collections, and points carry a payload with them. " * 40,
]
CAPTIONS = [
    "a red circle on a white background",
    "two green stars on pink",
    "A   Large BLUE square",
    "",
    "a picture of an orange ring " * 20,
]


def main(minilm: str, splade: str, clip: str) -> None:
    """Write references.npz beside this file."""
    arrays: dict[str, Any] = {"texts": TEXTS, "captions": CAPTIONS, "images": images()}
    with torch.inference_mode():
        arrays["minilm"] = sentence_vectors(minilm)
        arrays["splade_texts"], arrays["splade_indices"], arrays["splade_values"] = expansions(splade)
        arrays["clip_text"], arrays["clip_vision"] = clip_vectors(clip, arrays["images"])
    np.savez_compressed(Path(__file__).parent / "references.npz", **arrays)


def images() -> np.ndarray:
    """A red disc on white, a diagonal gradient, and black: uint8 `[3, 224, 224, 3]`."""
    rows, columns = np.mgrid[:224, :224]
    disc = np.full((224, 224, 3), 255, np.uint8)
    disc[(rows - 112) ** 2 + (columns - 112) ** 2 < 60**2] = (220, 20, 30)
    gradient = np.stack([rows, columns, (rows + columns) // 2], axis=-1).astype(np.uint8)
    return np.stack([disc, gradient, np.zeros_like(disc)])


def tokenizer(folder: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json")


def sentence_vectors(folder: str) -> np.ndarray:
    """Mean pooling over at most 256 tokens, then normalization, as the model's card says."""
    tokenize, model = tokenizer(folder), AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    for text in TEXTS:
        ids = tokenize(text, padding=False, truncation=True, max_length=256, return_tensors="pt")["input_ids"]
        rows.append(torch.nn.functional.normalize(model(input_ids=ids).last_hidden_state.mean(dim=1))[0].numpy())
    return np.stack(rows)


def expansions(folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights above zero as three arrays: number of the text, index, value."""
    tokenize, model = tokenizer(folder), AutoModelForMaskedLM.from_pretrained(folder, dtype=torch.float32).eval()
    rows = []
    for text in TEXTS:
        ids = tokenize(text, padding=False, truncation=True, max_length=512, return_tensors="pt")["input_ids"]
        rows.append(torch.log1p(torch.relu(model(input_ids=ids).logits)).amax(dim=1)[0].numpy())
    weights = np.stack(rows)
    texts, indices = np.nonzero(weights)
    return texts, indices.astype(np.uint32), weights[texts, indices]


def clip_vectors(folder: str, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sides, normalized."""
    tokenize, model = tokenizer(folder), CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    process = CLIPImageProcessor.from_pretrained(folder)
    texts = []
    for caption in CAPTIONS:
        ids = tokenize(caption, truncation=True, max_length=77, return_tensors="pt")["input_ids"]
        texts.append(model.get_text_features(input_ids=ids).pooler_output)
    seen = model.get_image_features(**process(list(pixels), return_tensors="pt")).pooler_output
    normalize = torch.nn.functional.normalize
    return normalize(torch.cat(texts)).numpy(), normalize(seen).numpy()


if __name__ == "__main__":
    main(*sys.argv[1:])
