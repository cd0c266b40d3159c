"""What may go wrong between a caller and a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nodetool_site.lib.errors import BadRequest, NotFound


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
