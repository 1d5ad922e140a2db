"""The vectors of texts: kept by embedder and text, so that no text is embedded twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.chunking import indexed_text
from retrieval.storage.database import Database, marks, slices
from retrieval.storage.rows import CHUNK_COLUMNS, chunk_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COPIED_AT_ONCE = 2000
_COMPARED_AT_ONCE = 1000
_FOLDERS = " JOIN files n ON n.number = c.file JOIN folders f ON f.number = n.folder"
_SENT = "sent "
_UNUSED = "FROM vectors WHERE text_hash NOT IN (SELECT text_hash FROM chunks)"


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

    def keys(self, embedder: str) -> set[bytes]:
        """Give the texts of chunks that have a vector."""
        rows = self._database.read(
            "SELECT text_hash FROM vectors v WHERE embedder = ?"
            " AND EXISTS (SELECT 1 FROM chunks c WHERE c.text_hash = v.text_hash)",
            (embedder,),
        )
        return {key for (key,) in rows}

    def count(self, embedder: str, folders: Sequence[str] = ()) -> int:
        """Count the chunks that have a vector, in all folders or in some."""
        where = f" WHERE f.path IN {marks(folders)}" if folders else ""
        rows = self._database.read(
            "SELECT count(*) FROM chunks c JOIN vectors v ON v.embedder = ?"
            f" AND v.text_hash = c.text_hash{_FOLDERS if folders else ''}{where}",
            [embedder, *folders],
        )
        return int(rows[0][0])

    def chunks_of(
        self, keys: Sequence[bytes], folders: Sequence[str] = ()
    ) -> dict[bytes, list[str]]:
        """Give the ids of the chunks of the folders (all when empty) that have each of these texts.

        The chunks of a text come in a fixed order.
        """
        joined = f"{_FOLDERS} AND f.path IN {marks(folders)}" if folders else ""
        found: dict[bytes, list[str]] = {}
        for some in slices(keys):
            rows = self._database.read(
                f"SELECT c.text_hash, c.id FROM chunks c{joined}"
                f" WHERE c.text_hash IN {marks(some)} ORDER BY c.number",
                [*folders, *some],
            )
            for key, chunk_id in rows:
                found.setdefault(key, []).append(chunk_id)
        return found

    def vectors(
        self, embedder: str, keys: Sequence[bytes]
    ) -> Iterator[tuple[list[bytes], NDArray[np.float32]]]:
        """Give the vectors of texts, shape (n, dimensions), in slices; unknown left out."""
        for some in slices(keys):
            rows = self._database.read(
                "SELECT text_hash, vector FROM vectors"
                f" WHERE embedder = ? AND text_hash IN {marks(some)}",
                [embedder, *some],
            )
            if rows:
                yield [row[0] for row in rows], _matrix(rows)

    def after(
        self, embedder: str, number: int, most: int
    ) -> tuple[int, list[bytes], NDArray[np.float32]]:
        """Give the vectors that were put after the one of a number, and the number of the last."""
        rows = self._database.read(
            "SELECT text_hash, vector, number FROM vectors WHERE embedder = ? AND number > ?"
            " ORDER BY number LIMIT ?",
            (embedder, number, most),
        )
        if not rows:
            return number, [], np.zeros((0, 0), np.float32)
        return rows[-1][2], [row[0] for row in rows], _matrix(rows)

    def similar(
        self,
        embedder: str,
        vector: NDArray[np.float32],
        depth: int,
        *,
        folders: Sequence[str] = (),
        within: frozenset[str] | None = None,
        keys: Sequence[bytes] | None = None,
    ) -> list[tuple[str, float]]:
        """Compare every vector; gives the ids and cosines of the most similar chunks.

        Of all chunks, or of those in folders, with one of some texts, or with an id within.
        """
        best: list[tuple[str, float]] = []
        for rows in self._compared(embedder, folders, within, keys):
            cosines = _matrix(rows) @ vector
            best.extend((row[0], float(c)) for row, c in zip(rows, cosines, strict=True))
            best = nsmallest(depth, best, key=lambda hit: (-hit[1], hit[0]))
        return best

    def _compared(
        self,
        embedder: str,
        folders: Sequence[str],
        within: frozenset[str] | None,
        keys: Sequence[bytes] | None,
    ) -> Iterator[list[Any]]:
        """Give rows of id, vector and number of chunks, in slices that leave memory free."""
        sql = (
            # CROSS: from the chunks to their vectors, never through all vectors to the chunks.
            "SELECT c.id, v.vector, c.number FROM chunks c CROSS JOIN vectors v ON v.embedder = ?"
            " AND v.text_hash = c.text_hash"
        )
        base: list[object] = [embedder]
        if folders:
            sql += f"{_FOLDERS} AND f.path IN {marks(folders)}"
            base.extend(folders)
        if keys is not None or within is not None:
            column = "c.id" if keys is None else "c.text_hash"
            for some in slices(sorted(within or ()) if keys is None else keys):
                rows = self._database.read(f"{sql} WHERE {column} IN {marks(some)}", [*base, *some])
                if rows:
                    yield rows
            return
        sql += " WHERE c.number > ? ORDER BY c.number LIMIT ?"
        last = 0
        while rows := self._database.read(sql, [*base, last, _COMPARED_AT_ONCE]):
            last = rows[-1][2]
            yield rows

    def keys_after(self, embedder: str, number: int) -> list[bytes]:
        """Give the texts whose vectors were put after the one of a number."""
        rows = self._database.read(
            "SELECT text_hash FROM vectors WHERE embedder = ? AND number > ?", (embedder, number)
        )
        return [key for (key,) in rows]

    def sent(self, place: str) -> int:
        """Give the number of the last vector sent to a shared place, or those it begins."""
        rows = self._database.read(
            "SELECT coalesce(max(value), 0) FROM meta WHERE substr(key, 1, length(?1)) = ?1",
            (_SENT + place,),
        )
        return int(rows[0][0])

    def mark_sent(self, place: str, number: int, key: bytes) -> None:
        """Note that the vectors up to a number, which is that of a text, are in a shared place.

        Unless it has been pruned meanwhile: its number may be another's by now.
        """
        with self._database.write(changes=False) as db:
            db.execute(
                "INSERT OR REPLACE INTO meta SELECT ?, number FROM vectors"
                " WHERE number = ? AND text_hash = ?",
                (_SENT + place, number, key),
            )

    def finished(self, embedder: str) -> int:
        """Count the notes, of all folders, that have all their vectors."""
        (count,) = self._database.read(
            "SELECT count(*) FROM files n WHERE reason = '' AND NOT EXISTS ("
            "SELECT 1 FROM chunks c LEFT JOIN vectors v ON v.embedder = ?"
            " AND v.text_hash = c.text_hash WHERE c.file = n.number AND v.number IS NULL)",
            (embedder,),
        )[0]
        return int(count)

    def copy(self, other: VectorTable, embedder: str) -> None:
        """Take over what another index embedded with the same model."""
        last = 0
        while rows := other._database.read(
            "SELECT number, text_hash, vector FROM vectors WHERE embedder = ? AND number > ?"
            " ORDER BY number LIMIT ?",
            (embedder, last, _COPIED_AT_ONCE),
        ):
            last = rows[-1][0]
            with self._database.write() as db:
                db.executemany(
                    "INSERT OR IGNORE INTO vectors (embedder, text_hash, vector) VALUES (?, ?, ?)",
                    [(embedder, key, vector) for _, key, vector in rows],
                )

    def prune(self) -> None:
        """Forget the vectors of texts that no chunk has."""
        if not self._database.read(f"SELECT 1 {_UNUSED} LIMIT 1"):
            return  # A write would tell every process that the index changed.
        with self._database.write() as db:
            db.execute(f"DELETE {_UNUSED}")
            # Numbers at the end may be given again, to vectors that were never sent.
            db.execute(
                "UPDATE meta SET value = min(value, (SELECT coalesce(max(number), 0) FROM vectors))"
                " WHERE key LIKE ?",
                (f"{_SENT}%",),
            )


def _matrix(rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float32]:
    """Give the vectors of rows, which are their second column: shape (rows, dimensions)."""
    matrix = np.frombuffer(b"".join(row[1] for row in rows), "<f4")
    return matrix.reshape(len(rows), -1).astype(np.float32, copy=False)
