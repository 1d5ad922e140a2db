"""What a model's files say, and which models are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retrieval.embedding import BUNDLED, bundled_embedder
from retrieval.errors import EmbedderError
from retrieval.sentence_models.model_folder import Module, Prompts, read_model_folder

KINDS = [("", "models.Transformer"), ("1_Pooling", "models.Pooling"), ("2_Dense", "models.Dense")]


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    modules = [{"path": path, "type": f"sentence_transformers.{kind}"} for path, kind in KINDS]
    write(tmp_path / "modules.json", modules)
    write(tmp_path / "config.json", {"hidden_size": 10, "max_position_embeddings": 514})
    write(tmp_path / "tokenizer_config.json", {"model_max_length": 512})
    modes = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}
    write(tmp_path / "1_Pooling/config.json", {"word_embedding_dimension": 10, **modes})
    write(tmp_path / "2_Dense/config.json", {"in_features": 20, "out_features": 7})
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "2_Dense/model.safetensors").write_bytes(b"weights")
    return tmp_path


def test_dimensions_window_and_weights_follow_from_the_configuration(model: Path) -> None:
    folder = read_model_folder(model)
    assert folder.modules == (
        Module("Transformer", ""),
        Module("Pooling", "1_Pooling"),
        Module("Dense", "2_Dense"),
    )
    assert (folder.dimensions, folder.window, folder.lower_case) == (7, 512, False)
    assert folder.weights == (model / "model.safetensors", model / "2_Dense/model.safetensors")
    assert folder.prompts == Prompts()


def test_pooling_in_two_ways_gives_a_vector_twice_as_long(model: Path) -> None:
    listed = json.loads((model / "modules.json").read_text())[:2]
    write(model / "modules.json", listed)
    assert read_model_folder(model).dimensions == 20


def test_its_own_limit_goes_before_the_tokenizers(model: Path) -> None:
    write(model / "sentence_bert_config.json", {"max_seq_length": 128, "do_lower_case": True})
    folder = read_model_folder(model)
    assert (folder.window, folder.lower_case) == (128, True)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"query": "q: ", "document": "d: "}, Prompts("q: ", "d: ")),
        ({"query": "q: ", "passage": "p: "}, Prompts("q: ", "p: ")),
        ({"query": "q: ", "document": "", "passage": "p: "}, Prompts("q: ", "p: ")),
        ({"clustering": "c: "}, Prompts()),
        ({"query": None}, Prompts()),
        ("nonsense", Prompts()),
    ],
)
def test_prompts_are_those_for_questions_and_documents(
    model: Path, said: object, wanted: Prompts
) -> None:
    write(model / "config_sentence_transformers.json", {"prompts": said})
    assert read_model_folder(model).prompts == wanted


def test_pickled_weights_are_refused_wherever_they_are(model: Path) -> None:
    (model / "2_Dense/model.safetensors").rename(model / "2_Dense/pytorch_model.bin")
    with pytest.raises(EmbedderError, match="pickle") as caught:
        read_model_folder(model)
    assert "safetensors" in caught.value.remedy
    (model / "2_Dense/pytorch_model.bin").unlink()
    with pytest.raises(EmbedderError, match="lacks its weights"):
        read_model_folder(model)


@pytest.mark.parametrize(
    ("kind", "place", "why"),
    [
        ("custom_code.Transformer", "", "not built in"),
        ("sentence_transformers.models.CLIPModel", "", "not built in"),
        ("sentence_transformers.models.Transformer", "../elsewhere", "outside itself"),
        ("sentence_transformers.models.Transformer", "/etc", "outside itself"),
        ("sentence_transformers.models.Pooling", "", "not a transformer"),
    ],
)
def test_parts_that_would_need_code_or_other_folders_are_refused(
    model: Path, kind: str, place: str, why: str
) -> None:
    write(model / "modules.json", [{"path": place, "type": kind}])
    with pytest.raises(EmbedderError, match=why):
        read_model_folder(model)


@pytest.mark.parametrize("text", ["", "[]", "{}", "null"])
def test_a_folder_that_holds_no_such_model_is_named(model: Path, text: str) -> None:
    (model / "modules.json").write_text(text)
    with pytest.raises(EmbedderError, match=r"modules\.json|no sentence-transformers model"):
        read_model_folder(model)


def test_the_bundled_model_is_what_its_own_files_say() -> None:
    embedder = bundled_embedder()
    folder = read_model_folder(embedder.directory)
    assert embedder.name.startswith(BUNDLED)
    assert (embedder.dimensions, embedder.max_tokens) == (folder.dimensions, folder.window - 2)
    assert folder.prompts == Prompts()
    assert not folder.lower_case
