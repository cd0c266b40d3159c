"""What may go wrong between a caller and a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Self

import msgspec

from nodetool_site.lib.errors import (
    ApplicationError,
    BadRequest,
    Conflict,
    NotFound,
    ValidationFailed,
    problem,
)

_PLACE = re.compile(r" - at `\$(?P<path>.*)`$")


class UnknownProvider(BadRequest):
    """The request demands a provider that this server has not."""

    def __init__(self, provider: str) -> None:
        super().__init__(f"There is no provider '{provider[:100]}'.")


class ModelNotFound(NotFound):
    """The id leads to no model."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"The model '{model[:200]}' does not exist or is not available."
        )


class UnknownModelKind(NotFound):
    """A list of models is asked for by a word that no kind or task has."""

    def __init__(self, word: str, known: Iterable[str]) -> None:
        super().__init__(
            f"There is no list of models '{word[:100]}'; there are {', '.join(known)}."
        )


class ProviderNotConfigured(BadRequest):
    """A provider is known and lacks its key or its address.

    ``name`` is the secret, or the environment variable where ``is_secret`` is False.
    """

    def __init__(self, provider: str, name: str, *, is_secret: bool) -> None:
        cure = (
            f"Store the secret {name} (PUT /api/settings/secrets/{name}, or "
            f"'nodetool secrets store {name}'), or set {name} in the server's "
            "environment."
            if is_secret
            else f"Set {name} in the server's environment."
        )
        super().__init__(f"{provider} is not configured: {name} is missing. {cure}")


class AmbiguousTextInput(BadRequest):
    """A workflow has several inputs that could take what the user says."""

    def __init__(self, names: Sequence[str]) -> None:
        listed = ", ".join(f"'{name[:50]}'" for name in names[:5])
        super().__init__(
            f"The workflow has several inputs for a text ({listed}). Name the one that "
            "takes the message 'message'."
        )


class ThreadNotFound(NotFound):
    """No such thread, or it is somebody else's."""

    default_message = "Thread not found"


class MessageNotFound(NotFound):
    """No such message, or it is in somebody else's thread."""

    default_message = "Message not found"


class InvalidThreadId(BadRequest):
    """A client asks for an id that no thread may have."""

    default_message = (
        "thread_id must be 1 to 64 characters of A-Z, a-z, 0-9, '-' and '_'"
    )


class InvalidMessage(ValidationFailed):
    """A member of a message has the wrong type."""

    @classmethod
    def from_msgspec(cls, error: msgspec.ValidationError) -> Self:
        """Say which member it is: msgspec tells it in its text alone."""
        text = str(error)
        place = _PLACE.search(text)
        steps = re.findall(r"\w+", place["path"]) if place else []
        said = _PLACE.sub("", text)
        where = ".".join(steps)
        message = f"{where}: {said}" if where else said
        return cls([problem("type_error", ("body", *steps), said)], message)


class ModelFailed(ApplicationError):
    """A model was asked and gave no answer."""

    status = 502
    default_message = "The model gave no answer"


class InvalidTurn(BadRequest):
    """A message is not one that can be answered."""


class ContentRequired(InvalidTurn):
    """A message says nothing."""

    default_message = "content is required"


class MessageIdTaken(Conflict):
    """The id that a client gives a message is that of another one."""

    default_message = "The id of this message is already used"


class TurnGone(Conflict):
    """A message is sent again, and the job that answered it has been deleted."""

    default_message = (
        "This message was answered, and its job is deleted: what is kept of the answer "
        "is in the thread"
    )


class TurnReplaced(Conflict):
    """Another message came in the same thread before this one could be answered."""

    default_message = "Another message in this thread came first"


class NotForChat(BadRequest):
    """A workflow cannot answer a conversation; ``lacking`` is what it has not."""

    def __init__(self, workflow_id: str, lacking: str) -> None:
        super().__init__(
            f"The workflow '{workflow_id}' cannot be used as a model: it has no "
            f"{lacking}."
        )


class WorkflowFailed(ApplicationError):
    """The run of a workflow that was to answer has failed."""

    default_message = "The workflow failed"


class CompletionFailed(ApplicationError):
    """The job of a completion has failed by itself: no provider is to blame."""

    default_message = "The completion failed"


class RunCancelled(Conflict):
    """Somebody has cancelled the run that was to answer."""

    default_message = "The run was cancelled"
