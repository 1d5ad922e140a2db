"""Errors of the retrieval package: each says what happened and what to do about it."""


class RetrievalError(Exception):
    """Base of every error that retrieval raises on purpose.

    Both texts are written for the person who sees them. The constructor's arguments are the
    exception's ``args``, so an error survives pickling between processes.
    """

    def __init__(self, title: str, remedy: str) -> None:
        super().__init__(title, remedy)
        self.title = title
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.title} {self.remedy}".strip()


class FolderError(RetrievalError):
    """The folder to index does not exist, is not a folder or cannot be read."""


class IndexMissingError(RetrievalError):
    """Nothing has been indexed yet, or not the folder that was asked for."""


class CollectionError(RetrievalError):
    """A collection's name cannot be used, or is another's already."""


class FilterError(RetrievalError):
    """A condition on the notes cannot be read, or can be met by none."""


class IndexLockedError(RetrievalError):
    """Another process is writing to this index."""


class IndexDamagedError(RetrievalError):
    """The index on disk cannot be opened; the notes are untouched and it can be rebuilt."""


class VectorIndexError(RetrievalError):
    """The vector index cannot be used now; keywords still find what they find."""


class VectorIndexDamagedError(VectorIndexError):
    """The vector index on disk cannot be read; it can be rebuilt from the stored vectors."""


class NoteError(RetrievalError):
    """A note cannot be read now."""


class EmbedderError(RetrievalError):
    """The embedding model is missing, altered or cannot be loaded."""


class EvaluationError(RetrievalError):
    """A data set, or the folder for its index, cannot be used for an evaluation."""


class IndexCancelled(RetrievalError):
    """The person stopped an indexing run; what was done so far is kept."""
