"""Embedders and rerankers that are known to work, for those who want another than the bundled."""

from __future__ import annotations

from dataclasses import dataclass

from retrieval.sentence_models.model_folder import NO_PROMPTS, Prompts


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model of the hub that is known to work."""

    repo: str
    """Repository on the hub: ``owner/name``."""
    title: str
    """Name for people."""
    megabytes: int
    """Download in millions of bytes, about."""
    window: int
    """Tokens that it reads."""
    languages: str
    """Languages it was made for."""
    licence: str
    """Licence of the weights."""
    dimensions: int = 0
    """Length of a vector; 0 for a reranker."""
    prompts: Prompts = NO_PROMPTS
    """What goes in front of texts where the model's own configuration says nothing."""
    note: str = ""
    """What else a person should know."""


_BGE_QUERY = "Represent this sentence for searching relevant passages: "

BUNDLED = KnownModel(
    "all-MiniLM-L6-v2",
    "MiniLM",
    0,
    256,
    "English",
    "Apache 2.0",
    384,
    note="Comes with Alcove; nothing to download.",
)
"""The embedder that is used where the settings name none."""

EMBEDDERS: tuple[KnownModel, ...] = (
    KnownModel(
        "BAAI/bge-small-en-v1.5",
        "BGE small",
        134,
        512,
        "English",
        "MIT",
        384,
        Prompts(query=_BGE_QUERY),
        "Better than the bundled one at nearly its pace.",
    ),
    KnownModel(
        "Snowflake/snowflake-arctic-embed-s",
        "Arctic Embed S",
        134,
        512,
        "English",
        "Apache 2.0",
        384,
        Prompts(query=_BGE_QUERY),
        "Made for search alone.",
    ),
    KnownModel(
        "sentence-transformers/all-mpnet-base-v2",
        "MPNet base",
        438,
        384,
        "English",
        "Apache 2.0",
        768,
        note="Bundled model's larger sibling; about five times slower.",
    ),
    KnownModel(
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        "Multilingual MiniLM",
        471,
        128,
        "over 50",
        "Apache 2.0",
        384,
        note="Short passages in many languages.",
    ),
    KnownModel(
        "intfloat/multilingual-e5-small",
        "Multilingual E5 small",
        471,
        512,
        "about 100",
        "MIT",
        384,
        Prompts("query: ", "passage: "),
        "The one to take for notes in other languages than English.",
    ),
    KnownModel(
        "google/embeddinggemma-300m",
        "EmbeddingGemma",
        1211,
        2048,
        "over 100",
        "Gemma Terms of Use",
        768,
        Prompts("task: search result | query: ", "title: none | text: "),
        "Asks for consent to its licence on the hub first.",
    ),
    KnownModel(
        "Snowflake/snowflake-arctic-embed-l-v2.0",
        "Arctic Embed L 2.0",
        2271,
        8192,
        "74",
        "Apache 2.0",
        1024,
        Prompts(query="query: "),
        "Large: for a GPU or much patience.",
    ),
    KnownModel(
        "mixedbread-ai/mxbai-embed-large-v1",
        "mxbai large",
        670,
        512,
        "English",
        "Apache 2.0",
        1024,
        Prompts(query=_BGE_QUERY),
        "For a GPU or patience.",
    ),
    KnownModel(
        "Qwen/Qwen3-Embedding-0.6B",
        "Qwen3 Embedding 0.6B",
        1192,
        32768,
        "over 100",
        "Apache 2.0",
        1024,
        Prompts(
            query="Instruct: Given a web search query, retrieve relevant passages that answer the "
            "query\nQuery:"
        ),
        "The strongest here; for a GPU.",
    ),
)
"""Embedders that need no code of their own and have their weights in safetensors."""

RERANKERS: tuple[KnownModel, ...] = (
    KnownModel(
        "cross-encoder/ms-marco-MiniLM-L6-v2",
        "MS MARCO MiniLM",
        91,
        512,
        "English",
        "Apache 2.0",
        note="Small and quick.",
    ),
    KnownModel(
        "mixedbread-ai/mxbai-rerank-xsmall-v1",
        "mxbai rerank xsmall",
        142,
        512,
        "English",
        "Apache 2.0",
        note="Careful for its size.",
    ),
    KnownModel(
        "BAAI/bge-reranker-base",
        "BGE reranker base",
        1112,
        512,
        "English, Chinese",
        "MIT",
        note="For a GPU or patience.",
    ),
    KnownModel(
        "BAAI/bge-reranker-v2-m3",
        "BGE reranker v2 M3",
        2271,
        8192,
        "over 100",
        "Apache 2.0",
        note="Many languages; for a GPU.",
    ),
)
"""Rerankers that need no code of their own and have their weights in safetensors."""


def known_prompts(repo: str) -> Prompts:
    """Give what a known embedder wants in front of texts; nothing for others."""
    return next((m.prompts for m in EMBEDDERS if m.repo.lower() == repo.lower()), NO_PROMPTS)
