"""Questions that go on from the one before, on the sample notes, with and without it.

Measured with hybrid search, mean reciprocal rank of the right note: follow-ups .63 alone and 1.00
with the question before them; questions of their own, asked after one about something else, .90
either way, as none of them is taken for a follow-up; the same with "and" before them, .93 alone
and .89 after one about something else, as the shortest are then taken for follow-ups.
"""

from __future__ import annotations

from retrieval.library import Library
from retrieval.types import Query
from tests.quality.conftest import SAMPLE_NOTES, reciprocal_rank

FOLLOW_UPS = (
    ("how does HNSW find neighbours", "and how is it tuned?", "retrieval/vector-search.md"),
    ("how do I put layers on a graphics card", "and on a Mac?", "models/offloading.md"),
    ("what is LoRA", "can it teach a model facts?", "models/lora.md"),
    ("what does temperature do", "what about seeds?", "models/sampling.md"),
    ("what is BM25", "what are its usual values?", "retrieval/bm25.md"),
    ("where are my conversations stored", "how do I delete them?", "alcove/privacy-and-data.md"),
    ("what is speculative decoding", "why can that be faster?", "models/speculative-decoding.md"),
    ("what is the importance matrix", "how is it made?", "models/importance-matrix.md"),
    ("what is the KV cache", "and what does it cost?", "models/kv-cache.md"),
    ("what is reciprocal rank fusion", "why 10?", "retrieval/reciprocal-rank-fusion.md"),
    ("what is a chat template", "what else can go wrong?", "models/chat-templates.md"),
    ("how large should chunks be", "do they overlap?", "retrieval/chunking.md"),
    ("what is quotes mode", "when is that enough?", "alcove/quotes-mode.md"),
    ("how is perplexity computed", "what are these numbers worth?", "models/perplexity.md"),
    ("what is reranking", "is it slow?", "retrieval/reranking.md"),
    ("what does a Q4_K super-block hold", "and the other formats?", "models/k-quants.md"),
)
"""The question before, the follow-up, and the note that answers it."""

CHAIN = ("how do I put layers on a graphics card", "and on a Mac?", "and with Vulkan?")
"""Each goes on from the one before."""

OWN_QUESTIONS = (
    ("how does HNSW find neighbours", "what is cosine similarity", "retrieval/embeddings.md"),
    ("what is LoRA", "which key stops an answer", "alcove/keys.md"),
    ("what is BM25", "what does the K in Q4_K_M mean", "models/quantization-levels.md"),
    ("where are my chats stored", "how is perplexity computed", "models/perplexity.md"),
    ("what is the KV cache", "which exit code means nothing was found", "alcove/command-line.md"),
    ("what is quotes mode", "why is the first token slow", "models/prefill-and-decode.md"),
    ("what is a token", "a note that tells the model what to do", "retrieval/prompt-injection.md"),
    (
        "how do I put layers on a graphics card",
        "what separates the user's turn from the assistant's",
        "models/chat-templates.md",
    ),
    (
        "what is chunking",
        "guessing several tokens ahead with a small model",
        "models/speculative-decoding.md",
    ),
    ("what is perplexity", "does anything leave my computer", "alcove/privacy-and-data.md"),
    ("what are embeddings", "grouped-query attention", "models/attention.md"),
    ("what is reranking", "what happens when the context is full", "models/context-window.md"),
    (
        "which keys are there",
        "how does temperature change an answer and when is it worth raising it",
        "models/sampling.md",
    ),
    (
        "what is prompt injection",
        "which model should I take for 8 GB of memory",
        "models/choosing-a-model.md",
    ),
)
"""A question about something else, one that stands alone, and the note that answers it."""


def means(library: Library, cases: tuple[tuple[str, str, str], ...]) -> tuple[float, float]:
    """Give the mean reciprocal rank without the question before, and with it."""
    alone = [reciprocal_rank(library, Query(question, k=30), path) for _, question, path in cases]
    after = [
        reciprocal_rank(library, Query(question, k=30, context=before), path)
        for before, question, path in cases
    ]
    return sum(alone) / len(cases), sum(after) / len(cases)


def test_every_label_names_a_note() -> None:
    for _, _, path in FOLLOW_UPS + OWN_QUESTIONS:
        assert (SAMPLE_NOTES / path).is_file()


def test_follow_ups_are_understood(library: Library) -> None:
    alone, after = means(library, FOLLOW_UPS)
    assert after >= 0.85, after
    assert after >= alone + 0.3, (alone, after)


def test_a_question_of_its_own_is_not_polluted(library: Library) -> None:
    alone, after = means(library, OWN_QUESTIONS)
    assert after >= alone - 0.01, (alone, after)


def test_and_before_a_question_of_its_own_does_little_harm(library: Library) -> None:
    linked = tuple((before, f"and {question}", path) for before, question, path in OWN_QUESTIONS)
    alone, after = means(library, linked)
    assert after >= alone - 0.06, (alone, after)


def test_the_context_is_said_when_it_was_used(library: Library) -> None:
    before, question, _ = FOLLOW_UPS[0]
    result = library.search(Query(question, context=before, explain=True))
    assert f"Searched together with the question before: “{before}”" in result.notices
    assert result.explanation is not None
    assert before in result.explanation.text
    assert question in result.explanation.text
    before, question, _ = OWN_QUESTIONS[0]
    assert library.search(Query(question, context=before)).notices == ()


def test_a_chain_of_follow_ups_goes_back_to_what_it_is_about(library: Library) -> None:
    *before, question = CHAIN
    result = library.search(Query(question, context="\n".join(before)))
    assert result.passages[0].chunk.note_path == "models/offloading.md"
    assert before[0] in result.notices[0]
