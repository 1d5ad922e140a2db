"""The keyword leg: BM25 with the scores of ``rank_bm25`` at the cost of postings.

``rank_bm25.BM25Okapi`` visits every document for every query term. Here each term's postings
are found by binary search in a few sorted arrays, so a query costs what its terms occur, and
documents come and go without a rebuild. The formula, its constants and its floor for negative
idf are the library's.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rank_bm25 import BM25Okapi

from retrieval.terms import TermBatch
from retrieval.types import Hit, Leg

_SLOT_BITS = 24
_COUNT_BITS = 16
_AT_ONCE = 1 << 18  # Postings that a pass over all of them looks at together.
_TERM_SHIFT = np.uint64(_SLOT_BITS + _COUNT_BITS)
_SLOT_MASK = np.uint64((1 << _SLOT_BITS) - 1)
_COUNT_MASK = np.uint64((1 << _COUNT_BITS) - 1)
Vocabulary = Callable[[Sequence[str]], Mapping[str, int]]
"""Looks up the numbers of terms; terms that occur nowhere are left out."""

Tokenizer = Callable[[str], list[str]]
"""Turns a query into terms, by the same rules as the chunks' terms were made."""


class LexicalIndex(BM25Okapi):  # type: ignore[misc]
    """Ranks chunks by BM25. Safe to search from one thread while another adds and removes."""

    def __init__(self, vocabulary: Vocabulary, tokenizer: Tokenizer) -> None:
        # The library's constructor sets its constants; it cannot take an empty corpus.
        super().__init__([[""]])
        self.tokenizer = tokenizer
        self._vocabulary = vocabulary
        self._lock = threading.RLock()
        self._reset()

    def _reset(self) -> None:
        self._ids: list[str] = []
        self._slots: dict[str, int] = {}
        self._folders: dict[str, int] = {}
        self._folder_of = np.zeros(0, np.int32)
        self._lengths = np.zeros(0, np.int64)
        self._alive = np.zeros(0, bool)
        self._segments: list[NDArray[np.uint64]] = []
        self._leaving: list[int] = []  # Slots of removed chunks whose terms still count.
        self._document_frequency = np.zeros(0, np.int64)
        self._idf: NDArray[np.float64] | None = None
        self.corpus_size = 0
        self.total_length = 0

    @property
    def leg(self) -> Leg:
        """Which leg this is."""
        return "bm25"

    def __len__(self) -> int:
        return int(self.corpus_size)

    def load(self, batches: Iterable[TermBatch], postings: int) -> None:
        """Take the place of what is held; ``postings`` says about how many there are in all.

        They go to where they stay as they come, as copies would double what a process holds.
        """
        with self._lock:
            self._reset()
            keys, end = np.empty(postings, np.uint64), 0
            parts: list[tuple[NDArray[np.int64], NDArray[np.int32]]] = []
            for batch in batches:
                last = end + len(batch.terms)
                if last > len(keys):
                    keys = np.concatenate([keys[:end], np.empty(last, np.uint64)])
                parts.append(self._take(batch, keys[end:last]))
                end = last
            self._append(keys[:end])
            self._segments[0].sort()
            self._place([lengths for lengths, _ in parts], [folders for _, folders in parts])

    def add(self, batch: TermBatch) -> None:
        """Add chunks; one with an id that is there already takes its place."""
        if not len(batch):
            return
        with self._lock:
            self.remove([i for i in batch.chunk_ids if i in self._slots])
            keys = np.empty(len(batch.terms), np.uint64)
            lengths, folders = self._take(batch, keys)
            keys.sort()
            self._append(keys)
            self._place([lengths], [folders])

    def remove(self, chunk_ids: Sequence[str]) -> None:
        """Remove chunks; ids that are not there are ignored."""
        with self._lock:
            slots = [self._slots.pop(i) for i in chunk_ids if i in self._slots]
            if not slots:
                return
            self._alive[slots] = False
            self._leaving.extend(slots)
            self._idf = None
            self.corpus_size -= len(slots)
            self.total_length -= int(self._lengths[slots].sum())
            if len(self._ids) - self.corpus_size > max(1000, self.corpus_size):
                self._compact()

    def get_scores(self, query: Sequence[str]) -> NDArray[np.float64]:
        """Score every chunk held, in the order of ``chunk_ids``: shape (len(self),)."""
        with self._lock:
            scores, _ = self._score(query)
            return scores[self._alive]

    @property
    def chunk_ids(self) -> list[str]:
        """Ids of the chunks held, in the order of ``get_scores``."""
        with self._lock:
            return [i for i, alive in zip(self._ids, self._alive, strict=True) if alive]

    def search(
        self,
        query: str,
        depth: int,
        folders: Sequence[str] = (),
        within: frozenset[str] | None = None,
    ) -> list[Hit]:
        """Rank at most ``depth`` chunks that hold a term of the query, best first."""
        terms = self.tokenizer(query)
        with self._lock:
            if not self.corpus_size or not terms:
                return []
            scores, matched = self._score(terms)
            allowed = self._alive & (matched > 0)
            if folders:
                wanted = [self._folders[f] for f in folders if f in self._folders]
                allowed &= np.isin(self._folder_of, wanted)
            if within is not None:
                inside = np.zeros(len(self._ids), bool)
                inside[[self._slots[i] for i in within if i in self._slots]] = True
                allowed &= inside
            candidates = np.flatnonzero(allowed)
            if self.average_idf <= 0:
                # In a handful of chunks idf is not positive and the score says nothing good of a
                # match; the number of terms matched does.
                order = np.lexsort((candidates, -scores[candidates], -matched[candidates]))
            else:
                if len(candidates) > depth:
                    worst = np.partition(scores[candidates], -depth)[-depth]
                    candidates = candidates[scores[candidates] >= worst]
                order = np.lexsort((candidates, -scores[candidates]))
            best = candidates[order[:depth]]
            return [
                Hit(self._ids[slot], rank, float(scores[slot]))
                for rank, slot in enumerate(best.tolist(), start=1)
            ]

    def ceiling(self, query: str) -> float:
        """Give a score above that of every chunk: what all terms, endlessly often, would come to.

        A term that no chunk holds counts as the rarest. 0 in a handful of chunks, where idf is not
        positive and scores say nothing good of a match.
        """
        wanted = Counter(self.tokenizer(query))
        with self._lock:
            if not self.corpus_size or not wanted:
                return 0.0
            self._settle()
            idf = self._idf if self._idf is not None else self._all_idf()
            if self.average_idf <= 0:
                return 0.0
            numbers = self._vocabulary(list(wanted))
            unknown = float(np.log(self.corpus_size + 0.5) - np.log(0.5))
            total = 0.0
            for term, count in wanted.items():
                number = numbers.get(term, len(idf))
                held = number < len(idf) and self._document_frequency[number] > 0
                total += count * (float(idf[number]) if held else unknown)
            return total * (float(self.k1) + 1)

    def holding(self, text: str) -> list[str] | None:
        """Give the ids of the chunks that hold every term of a text; None when it has no term."""
        wanted = set(self.tokenizer(text))
        if not wanted:
            return None
        with self._lock:
            numbers = self._vocabulary(list(wanted))
            if len(numbers) < len(wanted):
                return []
            held = np.zeros(len(self._ids), np.int32)
            for number in numbers.values():
                bounds = np.array([number, number + 1], np.uint64) << _TERM_SHIFT
                for segment in self._segments:
                    low, high = np.searchsorted(segment, bounds)
                    held[_slots_of(segment[low:high])] += 1
            slots = np.flatnonzero(self._alive & (held == len(wanted)))
            return [self._ids[slot] for slot in slots.tolist()]

    def _score(self, query: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Score every slot, and count the distinct query terms that each holds."""
        scores = np.zeros(len(self._ids))
        matched = np.zeros(len(self._ids), np.int32)
        if not self.corpus_size:
            return scores, matched
        self._settle()
        idf = self._idf if self._idf is not None else self._all_idf()
        self.avgdl = self.total_length / self.corpus_size
        wanted = Counter(query)
        for term, number in self._vocabulary(list(wanted)).items():
            if number >= len(idf):
                continue
            for segment in self._segments:
                low, high = np.searchsorted(
                    segment, np.array([number, number + 1], np.uint64) << _TERM_SHIFT
                )
                if low == high:
                    continue
                slots = _slots_of(segment[low:high])
                counts = (segment[low:high] & _COUNT_MASK).astype(np.float64)
                norm = self.k1 * (1 - self.b + self.b * self._lengths[slots] / self.avgdl)
                gain = idf[number] * (counts * (self.k1 + 1) / (counts + norm))
                scores[slots] += wanted[term] * gain
                matched[slots] += 1
        return scores, matched

    def _all_idf(self) -> NDArray[np.float64]:
        """Give the idf of every term, with the library's floor for terms in most chunks."""
        present = self._document_frequency > 0
        frequency = np.where(present, self._document_frequency, 1)
        idf = np.log(self.corpus_size - frequency + 0.5) - np.log(frequency + 0.5)
        self.average_idf = float(idf[present].mean()) if present.any() else 0.0
        idf[present & (idf < 0)] = self.epsilon * self.average_idf
        idf[~present] = 0.0
        self._idf = idf
        return idf

    def _take(
        self, batch: TermBatch, keys: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Write a batch's postings to ``keys``; gives the lengths and folders of its chunks."""
        first, added = len(self._ids), len(batch)
        keys[:] = batch.terms
        keys <<= np.uint64(_SLOT_BITS)
        keys |= np.repeat(np.arange(first, first + added, dtype=np.uint64), batch.sizes)
        keys <<= np.uint64(_COUNT_BITS)
        keys |= batch.counts
        totals = np.concatenate([[0], np.cumsum(batch.counts, dtype=np.int64)])
        ends = np.cumsum(batch.sizes)
        lengths = totals[ends] - totals[ends - batch.sizes]
        folders = [self._folders.setdefault(f, len(self._folders)) for f in batch.folders]
        self._ids.extend(batch.chunk_ids)
        self._slots.update(zip(batch.chunk_ids, range(first, first + added), strict=True))
        self._count(batch.terms, 1)
        self.corpus_size += added
        self.total_length += int(lengths.sum())
        return lengths, np.array(folders, np.int32)

    def _place(
        self, lengths: Sequence[NDArray[np.int64]], folders: Sequence[NDArray[np.int32]]
    ) -> None:
        """Note the lengths and folders of chunks that were taken."""
        self._lengths = np.concatenate([self._lengths, *lengths])
        self._folder_of = np.concatenate([self._folder_of, *folders])
        self._alive = np.pad(
            self._alive, (0, len(self._ids) - len(self._alive)), constant_values=True
        )

    def _settle(self) -> None:
        """Count the terms of removed chunks no more: one pass for all that were removed."""
        if not self._leaving:
            return
        gone = np.zeros(len(self._ids), bool)
        gone[self._leaving] = True
        self._leaving.clear()
        for segment in self._segments:
            for start in range(0, len(segment), _AT_ONCE):
                some = segment[start : start + _AT_ONCE]
                self._count(some[gone[_slots_of(some)]] >> _TERM_SHIFT, -1)

    def _count(self, terms: NDArray[np.integer[Any]], sign: int) -> None:
        """Add or take away one document for each of the terms, which may repeat."""
        self._idf = None
        if not len(terms):
            return
        numbers = terms.astype(np.int64)
        missing = int(numbers.max()) + 1 - len(self._document_frequency)
        if missing > 0:
            grown = max(missing, len(self._document_frequency) // 4)
            self._document_frequency = np.pad(self._document_frequency, (0, grown))
        np.add.at(self._document_frequency, numbers, sign)

    def _append(self, segment: NDArray[np.uint64]) -> None:
        """Add a segment and merge those of like size, so that there are few of them."""
        self._segments.append(segment)
        while len(self._segments) > 1 and len(self._segments[-2]) < 2 * len(self._segments[-1]):
            merged = np.concatenate([self._segments.pop(), self._segments.pop()])
            merged.sort()
            self._segments.append(merged)

    def _compact(self) -> None:
        """Renumber the slots without those of removed chunks."""
        self._settle()
        number = np.cumsum(self._alive, dtype=np.uint64) - np.uint64(1)
        everything = np.concatenate(self._segments) if self._segments else np.zeros(0, np.uint64)
        kept = everything[self._alive[_slots_of(everything)]]
        renumbered = number[_slots_of(kept)] << np.uint64(_COUNT_BITS)
        segment = (kept & ~(_SLOT_MASK << np.uint64(_COUNT_BITS))) | renumbered
        segment.sort()
        self._segments = [segment]
        self._ids = [i for i, alive in zip(self._ids, self._alive, strict=True) if alive]
        self._slots = {chunk_id: slot for slot, chunk_id in enumerate(self._ids)}
        self._lengths = self._lengths[self._alive]
        self._folder_of = self._folder_of[self._alive]
        self._alive = np.ones(len(self._ids), bool)


def _slots_of(segment: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Give the slot of each posting."""
    return ((segment >> np.uint64(_COUNT_BITS)) & _SLOT_MASK).astype(np.int64)
