"""What is read out of a model's files, and what is refused by name."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from deployments.catalogue.card import (
    File,
    FolderSource,
    ImageShape,
    Instruction,
    Markers,
    ModelCard,
    Prefixes,
    TaskIds,
)
from deployments.catalogue.families import Checkpoint
from deployments.errors import ModelError, ModelFilesError
from deployments.onboarding.inspection.inspect import inspect
from deployments.onboarding.inspection.repository import Repository
from tests.support import own_model, rerankers, tiny, word_models
from tests.support.architectures import ARCHITECTURES

PLAIN = {"model.safetensors", "config.json", "tokenizer.json"}


def look(folder: Path, kind: Checkpoint | None = None) -> Sequence[ModelCard]:
    paths = frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())

    def source(files: Mapping[str, File]) -> FolderSource:
        return FolderSource(folder=folder, files=dict(files))

    return inspect(Repository(folder, paths), "ours", "our card", source, kind)


def look_at_one(folder: Path, kind: Checkpoint | None = None) -> ModelCard:
    (card,) = look(folder, kind)
    return card


def files_of(card: ModelCard) -> set[str]:
    (source,) = card.sources
    return set(source.files)


def change(folder: Path, name: str, **values: Any) -> None:
    path = folder / name
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **values}))


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    return own_model.fine_tuned(tmp_path / "ours")


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return own_model.write(tmp_path / "ours")


def test_a_sentence_transformers_folder_says_everything(tuned: Path) -> None:
    card = look_at_one(tuned)
    assert (card.name, card.family, card.dimensions, card.context_window) == ("ours", "dense", 16, 32)
    assert (card.pooling, card.normalize, card.licence, card.model_card_url) == ("cls", True, "mit", "our card")
    assert card.prefixes == Prefixes(query="ask: ", passage="tell: ")
    assert files_of(card) == PLAIN


def test_the_files_of_version_6_say_the_same(tuned: Path) -> None:
    (tuned / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "lasttoken", "include_prompt": True}))
    (tuned / "sentence_bert_config.json").write_text(json.dumps({"transformer_task": "feature-extraction"}))
    change(tuned, "tokenizer_config.json", model_max_length=24)
    types = [
        "sentence_transformers.base.modules.transformer.Transformer",
        "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    ]
    paths = ["", "1_Pooling"]
    listed = [{"idx": i, "name": str(i), "path": path, "type": types[i]} for i, path in enumerate(paths)]
    (tuned / "modules.json").write_text(json.dumps(listed))
    card = look_at_one(tuned)
    assert (card.pooling, card.normalize, card.context_window) == ("last", False, 24)


def test_a_plain_bert_is_pooled_by_the_mean_and_reads_as_far_as_it_has_positions(plain: Path) -> None:
    change(plain, "tokenizer_config.json", model_max_length=10**30)
    card = look_at_one(plain)
    assert (card.pooling, card.normalize, card.context_window, card.licence) == ("mean", True, 64, "not stated")


def test_the_positions_of_roberta_start_behind_that_of_padding(plain: Path) -> None:
    change(plain, "config.json", model_type="xlm-roberta", max_position_embeddings=514, pad_token_id=1)
    assert look_at_one(plain).context_window == 512


@pytest.mark.parametrize(
    ("prompts", "default", "expected"),
    [
        ({"query": "q: "}, None, Prefixes(query="q: ")),
        ({"query": "q: ", "passage": "p: "}, None, Prefixes(query="q: ", passage="p: ")),
        ({"all": "x: ", "query": "q: "}, "all", Prefixes(query="q: ", passage="x: ")),
        ({}, None, Prefixes()),
    ],
)
def test_prompts_become_prefixes(tuned: Path, prompts: dict[str, str], default: str | None, expected: Prefixes) -> None:
    settings = {"prompts": prompts, "default_prompt_name": default}
    (tuned / "config_sentence_transformers.json").write_text(json.dumps(settings))
    assert look_at_one(tuned).prefixes == expected


def test_the_prompt_of_qwen3_is_an_instruction_with_its_default(tuned: Path) -> None:
    settings = {"prompts": {"query": "Instruct: Given a question, find passages\nQuery:", "document": ""}}
    (tuned / "config_sentence_transformers.json").write_text(json.dumps(settings))
    card = look_at_one(tuned)
    told = Instruction(form="Instruct: {instruction}\nQuery:", default="Given a question, find passages")
    assert (card.instruction, card.prefixes) == (told, Prefixes())


@pytest.mark.parametrize("name", rerankers.RERANKERS)
def test_a_reranker_is_seen_by_its_architecture(tmp_path: Path, name: str) -> None:
    card = look_at_one(rerankers.write(tmp_path, name))
    assert (card.family, card.dimensions, card.context_window) == ("cross-encoder", None, rerankers.window(name))
    assert files_of(card) == PLAIN
    own_model.write_json(tmp_path, modules=own_model.modules("Transformer"))
    assert look_at_one(tmp_path) == card


def test_a_classifier_of_several_labels_is_no_reranker(tmp_path: Path) -> None:
    folder = rerankers.write(tmp_path, id2label={"0": "no", "1": "yes"})
    with pytest.raises(ModelError, match="a model with 2 labels is no reranker"):
        look(folder)


def test_splade_is_seen_by_its_pooling(plain: Path) -> None:
    change(plain, "config.json", architectures=["BertForMaskedLM"])
    own_model.write_json(plain, modules=own_model.modules("MLMTransformer", "SpladePooling"))
    card = look_at_one(plain)
    assert (card.family, card.dimensions, card.context_window) == ("sparse", None, 64)


def test_queries_without_a_network_are_seen_by_their_weights(plain: Path) -> None:
    own_model.write_json(plain, idf={"a": 1.0}, modules=own_model.modules("Router"))
    own_model.write_json(plain, document_1_SpladePooling__config={"activation_function": "log1p_relu"})
    card = look_at_one(plain)
    assert (card.family, card.query_weights, card.log_twice) == ("sparse", "idf.json", True)
    assert files_of(card) == PLAIN | {"idf.json"}
    (plain / "idf.json").unlink()
    with pytest.raises(ModelError, match=r"a 'Router' without idf\.json"):
        look_at_one(plain, "sparse")


def test_a_splade_of_another_kind_is_refused_by_name(plain: Path) -> None:
    own_model.write_json(plain, modules=own_model.modules("MLMTransformer", "SpladePooling"))
    own_model.write_json(plain, **{"1_SpladePooling__config": {"pooling_strategy": "sum"}})
    with pytest.raises(ModelError, match=r"pooling_strategy 'sum' cannot be run here, only 'max'"):
        look(plain)


def test_models_of_words_are_seen_by_their_files(tmp_path: Path) -> None:
    folders = {family: tmp_path / family for family in ("bm42", "minicoil")}
    for family, folder in folders.items():
        folder.mkdir()
        getattr(word_models, family)(folder)
        own_model.write_json(folder, tokenizer_config={"model_max_length": 48, "max_length": 32})
        card = look_at_one(folder)
        assert (card.family, card.dimensions, card.context_window, card.output) == (family, None, 32, None)
        assert files_of(card) >= PLAIN | {"stopwords.txt"}
    (folders["minicoil"] / "minicoil.triplet.model.vocab").unlink()
    with pytest.raises(ModelError, match=r"there is no minicoil\.triplet\.model\.vocab, which a minicoil model needs"):
        look(folders["minicoil"])
    (folders["bm42"] / "model.safetensors").rename(folders["bm42"] / "model.onnx")
    card = look_at_one(folders["bm42"])
    assert (card.output, files_of(card) - PLAIN) == ("attention_2", {"model.onnx", "stopwords.txt"})


@pytest.mark.parametrize("architectures", [["BertForMaskedLM"], None])
def test_what_may_be_of_two_families_is_not_guessed(plain: Path, architectures: list[str] | None) -> None:
    change(plain, "config.json", architectures=architectures)
    with pytest.raises(ModelError, match=r"say which: --family sparse or --family dense"):
        look(plain)
    assert look_at_one(plain, "sparse").family == "sparse"
    assert look_at_one(plain, "dense").family == "dense"


def colbert_metadata(folder: Path, **settings: Any) -> None:
    tokens = {"query_token_id": "[unused0]", "doc_token_id": "[unused1]"}
    lengths = {"query_maxlen": 24, "doc_maxlen": 48, "dim": 8, "mask_punctuation": False}
    (folder / "artifact.metadata").write_text(json.dumps({**tokens, **lengths, **settings}))


def test_colbert_is_seen_by_its_metadata(plain: Path) -> None:
    change(plain, "config.json", architectures=["HF_ColBERT"])
    colbert_metadata(plain)
    card = look_at_one(plain)
    assert (card.family, card.dimensions, card.context_window) == ("late-interaction", 8, 48)
    assert card.markers == Markers(query=1, document=2, query_length=24, skip_punctuation=False)
    assert files_of(card) == PLAIN


def pylate(folder: Path, **settings: Any) -> None:
    own_model.write_json(folder, modules=own_model.modules("Transformer", "Dense"))
    identity = "torch.nn.modules.linear.Identity"
    projection = {"out_features": 8, "bias": False, "activation_function": identity}
    own_model.write_json(folder, **{"1_Dense__config": projection})
    (folder / "1_Dense" / "model.safetensors").touch()
    markers = {"query_prefix": "[unused0]", "document_prefix": "[unused1]", "query_length": 16, "document_length": 40}
    skipped = {"skiplist_words": list(string.punctuation)}
    (folder / "config_sentence_transformers.json").write_text(json.dumps({**markers, **skipped, **settings}))


def test_pylate_is_seen_by_its_modules(plain: Path) -> None:
    pylate(plain)
    card = look_at_one(plain)
    assert (card.family, card.dimensions, card.context_window) == ("late-interaction", 8, 40)
    assert card.markers == Markers(query=1, document=2, query_length=16, skip_punctuation=True)
    assert files_of(card) == PLAIN | {"1_Dense/model.safetensors", "1_Dense/config.json"}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"attend_to_expansion_tokens": True}, "attend_to_expansion_tokens: true"),
        ({"do_query_expansion": False}, "do_query_expansion: false"),
        ({"skiplist_words": ["the"]}, "skiplist_words"),
        ({"query_prefix": "[nobody]"}, r"no token '\[nobody\]'"),
        ({"document_prefix": None}, "without markers"),
    ],
)
def test_a_colbert_of_another_kind_is_refused_by_name(plain: Path, settings: dict[str, Any], named: str) -> None:
    pylate(plain, **settings)
    with pytest.raises(ModelError, match=named):
        look(plain)


@pytest.fixture
def siglip(tmp_path: Path) -> Path:
    (folder := tmp_path / "siglip").mkdir()
    settings = {
        "preprocessor_config.json": {"resample": 2},
        "tokenizer_config.json": {"pad_token": {"content": "<pad>"}},
    }
    for name, content in settings.items():
        (folder / name).write_text(json.dumps(content))
    tiny.unigrams().save(str(folder / "tokenizer.json"))
    return tiny.write_as(
        folder, tiny.siglip_tensors(), {"model_type": "siglip", "text_config": {}, "vision_config": {}}
    )


def test_a_siglip_is_one_model_of_texts_and_images(siglip: Path) -> None:
    change(siglip, "tokenizer_config.json", tokenizer_class="GemmaTokenizerFast")
    card = look_at_one(siglip)
    assert (card.name, card.family, card.reads) == ("ours", "text-image", ("text", "image"))
    assert (card.dimensions, card.context_window, card.image_size) == (768, 64, 224)
    assert (card.filled_with, card.lowercase) == (1, True)
    assert card.image_shape == ImageShape(fit="stretch", resample="bilinear")
    assert files_of(card) == PLAIN | {"preprocessor_config.json"}


def test_a_way_to_resize_that_is_not_known_is_refused(siglip: Path) -> None:
    change(siglip, "preprocessor_config.json", resample=5)
    with pytest.raises(ModelError, match="resample 5 cannot be run here"):
        look(siglip)


def test_a_clip_may_be_one_model_too(plain: Path) -> None:
    clip = {"model_type": "clip", "text_config": {}, "vision_config": {"image_size": 32}}
    (plain / "config.json").write_text(json.dumps(clip))
    change(plain, "preprocessor_config.json")
    card = look_at_one(plain, "text-image")
    assert (card.dimensions, card.context_window, card.image_size, card.filled_with) == (512, 77, 32, None)


def test_a_clip_is_two_models(plain: Path) -> None:
    clip = {"model_type": "clip", "architectures": ["CLIPModel"], "projection_dim": 24}
    (plain / "config.json").write_text(json.dumps({**clip, "text_config": {}, "vision_config": {"image_size": 32}}))
    with pytest.raises(ModelError, match=r"no preprocessor_config.json"):
        look(plain)
    own_model.write_json(plain, preprocessor_config={})
    text, vision = look(plain)
    assert (text.name, text.family, text.dimensions, text.context_window) == ("ours-text", "clip-text", 24, 77)
    assert (vision.name, vision.family, vision.dimensions, vision.image_size) == ("ours-vision", "clip-vision", 24, 32)
    assert files_of(text) == PLAIN
    assert files_of(vision) == {"model.safetensors", "config.json", "preprocessor_config.json"}


@pytest.mark.parametrize(
    ("pooling", "named"),
    [
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "pooling 'mean_sqrt_len_tokens' cannot"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, r"pooling 'cls \+ mean' cannot"),
        ({"pooling_mode": "mean", "include_prompt": False}, "include_prompt: false"),
    ],
)
def test_an_unknown_pooling_is_refused_by_name(tuned: Path, pooling: dict[str, Any], named: str) -> None:
    (tuned / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    with pytest.raises(ModelError, match=named):
        look(tuned)


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (("Transformer", "Pooling", "CNN"), "'CNN' cannot be run here, only Transformer, Pooling, Dense, Normalize"),
        (("Transformer", "Pooling", "Dense"), r"no 2_Dense/model\.safetensors"),
        (("Transformer", "Asym"), "models of Transformer, Asym are not known here"),
        (("Transformer", "Pooling", "Pooling"), "expected one 'Pooling', found 2"),
    ],
)
def test_unknown_modules_are_refused_by_name(tuned: Path, names: tuple[str, ...], named: str) -> None:
    own_model.write_json(tuned, modules=own_model.modules(*names))
    with pytest.raises(ModelError, match=named):
        look(tuned)


def test_a_checkpoint_that_is_no_embedding_model_is_refused_by_its_architecture(plain: Path) -> None:
    change(plain, "config.json", architectures=["BertForTokenClassification"])
    with pytest.raises(ModelError, match=r"'BertForTokenClassification' is none of a model that is known here"):
        look(plain)


def test_lower_case_beside_the_tokenizer_is_refused_unless_the_tokenizer_does_it_too(tuned: Path) -> None:
    change(tuned, "sentence_bert_config.json", do_lower_case=True)
    assert look_at_one(tuned).context_window == 32
    tokenizer = json.loads((tuned / "tokenizer.json").read_text())
    (tuned / "tokenizer.json").write_text(json.dumps({**tokenizer, "normalizer": None}))
    with pytest.raises(ModelError, match="do_lower_case"):
        look(tuned)


def test_a_vocabulary_alone_is_refused_with_what_to_do(tuned: Path) -> None:
    (tuned / "tokenizer.json").rename(tuned / "vocab.txt")
    with pytest.raises(ModelError, match=r"no tokenizer.json, only vocab.txt; .*AutoTokenizer"):
        look(tuned)


def test_pickled_weights_are_refused_with_what_to_do(tuned: Path) -> None:
    (tuned / "model.safetensors").rename(tuned / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only pytorch_model.bin.*AutoModel"):
        look(tuned)
    (tuned / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match="no weights"):
        look(tuned)


def test_weights_in_several_files_are_all_named(tuned: Path) -> None:
    (tuned / "model.safetensors").rename(tuned / "model-1-of-2.safetensors")
    index = {"weight_map": {"a": "model-2-of-2.safetensors", "b": "model-1-of-2.safetensors"}}
    (tuned / "model.safetensors.index.json").write_text(json.dumps(index))
    shards = {"model.safetensors.index.json", "model-1-of-2.safetensors", "model-2-of-2.safetensors"}
    assert files_of(look_at_one(tuned)) == {"config.json", "tokenizer.json"} | shards


def test_an_architecture_that_is_not_built_here_is_taken_as_onnx_where_that_is_there(tuned: Path) -> None:
    change(tuned, "config.json", model_type="t5", architectures=["T5EncoderModel"])
    with pytest.raises(ModelError, match=r"architecture 't5' cannot be run here.*; and there is no model\.onnx"):
        look(tuned)
    (tuned / "onnx").mkdir()
    (tuned / "onnx" / "model.onnx").touch()
    (source,) = look_at_one(tuned).sources
    assert source.files["model.onnx"] == File(path="onnx/model.onnx")
    assert "model.safetensors" not in source.files
    (tuned / "onnx" / "model.onnx_data").touch()
    (source,) = look_at_one(tuned).sources
    assert source.files["model.onnx_data"] == File(path="onnx/model.onnx_data")


def test_the_adapters_of_a_ready_file_are_those_of_retrieval(tuned: Path) -> None:
    """As in the config.json of Jina's embeddings v3."""
    names = ["separation", "retrieval.query", "retrieval.passage"]
    told = {"retrieval.query": "find: ", "retrieval.passage": "stored: "}
    change(tuned, "config.json", model_type="t5", lora_adaptations=names, task_instructions=told)
    (tuned / "model.onnx").touch()
    card = look_at_one(tuned)
    assert card.task_ids == TaskIds(query=1, passage=2)
    assert card.prefixes == Prefixes(query="find: ", passage="stored: ")


def test_what_can_be_built_is_built_whatever_else_is_there(tuned: Path) -> None:
    (tuned / "model.onnx").touch()
    assert files_of(look_at_one(tuned)) == PLAIN


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_architecture_says_how_far_it_reads_and_how_much_it_gives(tmp_path: Path, name: str) -> None:
    """By settings that have other names in each."""
    tensors, config = ARCHITECTURES[name](len(own_model.VOCABULARY))
    tiny.write_as(tmp_path, tensors, {**config, "architectures": ["Model"]})
    own_model.write_tokenizer(tmp_path)
    card = look_at_one(tmp_path)
    assert (card.context_window, card.dimensions) == (tiny.POSITIONS, 24 if name == "jina" else tiny.HIDDEN)


def test_linear_layers_behind_the_pooling_are_files_of_the_model(tuned: Path) -> None:
    names = ("Transformer", "Pooling", "Dense", "Dense", "Normalize")
    own_model.write_json(tuned, modules=own_model.modules(*names))
    for folder, size in (("2_Dense", 48), ("3_Dense", 8)):
        own_model.write_json(tuned, **{f"{folder}__config": {"out_features": size, "activation_function": "x.Tanh"}})
        (tuned / folder / "model.safetensors").touch()
    card = look_at_one(tuned)
    assert (card.projections, card.dimensions) == (("2_Dense", "3_Dense"), 8)
    beside = {f"{folder}/{name}" for folder in card.projections for name in ("model.safetensors", "config.json")}
    assert files_of(card) == PLAIN | beside


def test_an_unknown_activation_of_a_linear_layer_is_named(tuned: Path) -> None:
    own_model.write_json(tuned, modules=own_model.modules("Transformer", "Pooling", "Dense"))
    own_model.write_json(tuned, **{"2_Dense__config": {"activation_function": "torch.nn.modules.activation.GELU"}})
    with pytest.raises(ModelError, match=r"2_Dense/config\.json: activation_function 'GELU'"):
        look(tuned)


def test_the_lengths_of_a_matryoshka_loss_stand_in_the_readme(tuned: Path) -> None:
    with (tuned / "README.md").open("a") as file:
        file.write('```json\n{"loss": "X", "matryoshka_dims": [\n 16,\n 8,\n 4\n ]}\n```\n')
    assert look_at_one(tuned).matryoshka == (4, 8, 16)


@pytest.mark.parametrize("name", ["config.json", "modules.json"])
def test_a_damaged_file_is_named(tuned: Path, name: str) -> None:
    (tuned / name).write_text("{")
    with pytest.raises(ModelFilesError, match=name):
        look(tuned)


def test_what_the_catalogue_needs_and_the_files_lack_is_named(tuned: Path) -> None:
    change(tuned, "config.json", hidden_size=None)
    with pytest.raises(ModelError, match="no 'hidden_size'"):
        look(tuned)
    (tuned / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no config.json"):
        look(tuned)


def test_the_layers_of_other_vectors_become_heads(tuned: Path) -> None:
    for name in ("sparse_linear.pt", "colbert_linear.pt", "colbert_linear.safetensors"):
        (tuned / name).touch()
    card = look_at_one(tuned)
    assert [(head.family, head.weights) for head in card.heads] == [
        ("sparse", "sparse_linear.pt"),
        ("late-interaction", "colbert_linear.safetensors"),
    ]
    assert files_of(card) == PLAIN | {"sparse_linear.pt", "colbert_linear.safetensors"}
