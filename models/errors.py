"""Errors of the models package: each says what happened and what to do about it."""


class ModelError(Exception):
    """Base of every error that models raises on purpose.

    Both texts are written for the person who sees them. The constructor's arguments are the
    exception's ``args``, so an error survives pickling between processes.
    """

    def __init__(self, title: str, remedy: str) -> None:
        super().__init__(title, remedy)
        self.title = title
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.title} {self.remedy}".strip()


class ModelNotFoundError(ModelError):
    """No file, repository or quantization level of that name."""


class HubError(ModelError):
    """The hub refused, was not reached or answered nonsense."""


class DownloadError(ModelError):
    """A download could not be finished or what arrived is not what was announced."""


class DownloadCancelled(ModelError):
    """The person stopped a download; what has arrived is kept for the next time."""


class HeaderError(ModelError):
    """The file is not a GGUF model, or its header is damaged."""


class LoadError(ModelError):
    """llama.cpp could not load the model."""


class LoadCancelled(LoadError):
    """The person stopped a model from loading."""


class ContextFullError(ModelError):
    """The prompt does not fit in the model's context."""


class TemplateError(ModelError):
    """The model's chat template cannot be rendered."""


class GenerationError(ModelError):
    """llama.cpp failed while it read the prompt or wrote the answer."""
