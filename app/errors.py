"""Errors of the app itself: each says what happened and what to do about it."""


class AppError(Exception):
    """Base of every error that the app raises on purpose.

    Both texts are written for the person who sees them. The constructor's arguments are the
    exception's ``args``, so an error survives pickling between processes.
    """

    def __init__(self, title: str, remedy: str) -> None:
        super().__init__(title, remedy)
        self.title = title
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.title} {self.remedy}".strip()


class SettingsError(AppError):
    """The settings file cannot be read or holds a value that makes no sense."""


class ServiceDied(AppError):
    """A child process ended while it was needed."""


class ServiceUnavailable(AppError):
    """A child process cannot be started, or was closed for good."""


class SearchStopped(AppError):
    """The person stopped a search; nothing was found yet."""


class QuestionTooLongError(AppError):
    """The question cannot fit in the model's context, whatever is left out."""


class ConversationError(AppError):
    """A conversation cannot be read or saved."""


class JudgmentError(AppError):
    """What the person marked cannot be read or saved."""
