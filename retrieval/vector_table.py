"""The vectors of texts: kept by embedder and text, so that no text is embedded twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.chunking import indexed_text
from retrieval.database import Database, marks, slices
from retrieval.rows import CHUNK_COLUMNS, chunk_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Unembedded:
    """A text that has no vector yet."""

    text_hash: bytes
    """Key of its vector."""
    text: str
    """What to embed."""


class VectorTable:
    """The vectors that one index's database keeps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def unembedded(self, embedder: str, folder: str, paths: Sequence[str] = ()) -> list[Unembedded]:
        """Give the distinct texts of a folder, or of some of its files, that have no vector."""
        where, parameters = "f.path = ?", [embedder, folder]
        if paths:
            where += f" AND n.path IN {marks(paths)}"
            parameters.extend(paths)
        rows = self._database.read(
            f"SELECT c.text_hash, {CHUNK_COLUMNS} LEFT JOIN vectors v ON v.embedder = ?"
            f" AND v.text_hash = c.text_hash WHERE v.number IS NULL AND {where}",
            parameters,
        )
        return [
            Unembedded(key, text)
            for key, text in {row[0]: indexed_text(chunk_of(row[1:])) for row in rows}.items()
        ]

    def put(self, embedder: str, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Keep the vectors of texts: row i belongs to key i."""
        with self._database.write() as db:
            db.executemany(
                "INSERT OR IGNORE INTO vectors (embedder, text_hash, vector) VALUES (?, ?, ?)",
                [
                    (embedder, key, vector.astype("<f4").tobytes())
                    for key, vector in zip(keys, vectors, strict=True)
                ],
            )

    def ids(self, embedder: str) -> set[str]:
        """Give the ids of all chunks that have a vector."""
        rows = self._database.read(
            "SELECT c.id FROM chunks c JOIN vectors v"
            " ON v.text_hash = c.text_hash AND v.embedder = ?",
            (embedder,),
        )
        return {chunk_id for (chunk_id,) in rows}

    def ids_of_texts(self, keys: Sequence[bytes]) -> list[str]:
        """Give the ids of the chunks that have one of these texts."""
        found: list[str] = []
        for some in slices(keys):
            rows = self._database.read(
                f"SELECT id FROM chunks WHERE text_hash IN {marks(some)}", some
            )
            found.extend(chunk_id for (chunk_id,) in rows)
        return found

    def vectors(
        self, embedder: str, ids: Iterable[str]
    ) -> Iterator[tuple[list[str], list[str], NDArray[np.float32]]]:
        """Give ids, folders and vectors (n, dimensions) of chunks, in slices; unknown left out."""
        for some in slices(list(ids)):
            rows = self._database.read(
                "SELECT c.id, f.path, v.vector FROM chunks c JOIN files n ON n.number = c.file"
                " JOIN folders f ON f.number = n.folder"
                " JOIN vectors v ON v.text_hash = c.text_hash AND v.embedder = ?"
                f" WHERE c.id IN {marks(some)}",
                [embedder, *some],
            )
            if rows:
                matrix = np.frombuffer(b"".join(row[2] for row in rows), "<f4")
                shaped = matrix.reshape(len(rows), -1).astype(np.float32)
                yield [row[0] for row in rows], [row[1] for row in rows], shaped

    def prune(self) -> None:
        """Forget the vectors of texts that no chunk has."""
        with self._database.write() as db:
            db.execute("DELETE FROM vectors WHERE text_hash NOT IN (SELECT text_hash FROM chunks)")
