"""Values that flow through retrieval, and the protocols its parts satisfy.

Bottom layer: standard library only. Arrays appear in annotations alone.
"""

from retrieval.types.documents import (
    Chunk,
    Fingerprint,
    Format,
    Note,
    Place,
    where,
)
from retrieval.types.protocols import (
    ChunkIndex,
    Embedder,
    Reranker,
)
from retrieval.types.results import (
    DEPTH,
    Contribution,
    Cut,
    Explanation,
    Filters,
    Hit,
    Leg,
    LegChoice,
    Passage,
    Query,
    Reranked,
    SearchResult,
)
from retrieval.types.runs import (
    READING,
    Cancelled,
    Collection,
    Forgotten,
    IndexOptions,
    IndexReport,
    IndexStatus,
    Progress,
    Report,
    Skipped,
    ignore_progress,
    never_cancelled,
)

__all__ = [
    "DEPTH",
    "READING",
    "Cancelled",
    "Chunk",
    "ChunkIndex",
    "Collection",
    "Contribution",
    "Cut",
    "Embedder",
    "Explanation",
    "Filters",
    "Fingerprint",
    "Forgotten",
    "Format",
    "Hit",
    "IndexOptions",
    "IndexReport",
    "IndexStatus",
    "Leg",
    "LegChoice",
    "Note",
    "Passage",
    "Place",
    "Progress",
    "Query",
    "Report",
    "Reranked",
    "Reranker",
    "SearchResult",
    "Skipped",
    "ignore_progress",
    "never_cancelled",
    "where",
]
