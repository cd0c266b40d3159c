"""Reading a request field by field; a wrong one is named in the refusal."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from chat.openai_api.errors import UNSUPPORTED, InvalidField

MAX_WHOLE = 2**63 - 1
"""The largest integer of a request, as of OpenAI's: more is no number to a model."""


class Fields:
    """The members of a JSON object; ``null`` counts as absent.

    ``path`` is what stands before a member's name in a refusal: ``messages[0].``.
    """

    def __init__(self, members: Mapping[str, Any], path: str = "") -> None:
        self._members = members
        self._path = path

    def param(self, name: str) -> str:
        """Return the whole name of a member."""
        return f"{self._path}{name}"

    def has(self, name: str) -> bool:
        """Tell whether a member is there."""
        return self._members.get(name) is not None

    def any(self, name: str) -> Any:
        """Return a member of whatever type; None if it is absent."""
        return self._members.get(name)

    def text(self, name: str) -> str | None:
        """Return a string."""
        return self._typed(name, str, "a string")  # type: ignore[no-any-return]

    def flag(self, name: str) -> bool | None:
        """Return a boolean."""
        return self._typed(name, bool, "a boolean")  # type: ignore[no-any-return]

    def mapping(self, name: str) -> dict[str, Any] | None:
        """Return an object."""
        return self._typed(name, dict, "an object")  # type: ignore[no-any-return]

    def array(self, name: str) -> list[Any] | None:
        """Return an array."""
        return self._typed(name, list, "an array")  # type: ignore[no-any-return]

    def whole(self, name: str, low: int, high: int = MAX_WHOLE) -> int | None:
        """Return an integer within its limits."""
        value = self._members.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(name, "an integer")
        self._check_range(name, value, low, high)
        return value

    def number(self, name: str, low: float, high: float) -> float | None:
        """Return a number within its limits."""
        value = self._members.get(name)
        if value is None:
            return None
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise self.wrong(name, "a number")
        self._check_range(name, value, low, high)
        return float(value)

    def word(self, name: str, among: Collection[str]) -> str | None:
        """Return one of some words."""
        value = self.text(name)
        if value is not None and value not in among:
            allowed = ", ".join(f"'{word}'" for word in among)
            raise self.refused(name, f"must be one of {allowed}", code=UNSUPPORTED)
        return value

    def required(self, name: str) -> None:
        """Refuse a request without a member."""
        if not self.has(name):
            raise InvalidField(
                self.param(name), f"Missing required parameter: '{self.param(name)}'."
            )

    def inner(self, name: str) -> Fields:
        """Return the members of an object that is required."""
        self.required(name)
        return Fields(self.mapping(name) or {}, f"{self.param(name)}.")

    def wrong(self, name: str, expected: str) -> InvalidField:
        """Return the refusal of a value of the wrong type."""
        return InvalidField(
            self.param(name),
            f"Invalid type for '{self.param(name)}': expected {expected}.",
        )

    def refused(
        self, name: str, reason: str, *, code: str | None = None
    ) -> InvalidField:
        """Return the refusal of a value; ``reason`` goes on after its name."""
        param = self.param(name)
        return InvalidField(param, f"Invalid value: '{param}' {reason}.", code=code)

    def _typed(self, name: str, kind: type, expected: str) -> Any:
        value = self._members.get(name)
        if value is not None and not isinstance(value, kind):
            raise self.wrong(name, expected)
        return value

    def _check_range(self, name: str, value: float, low: float, high: float) -> None:
        if not value >= low:
            raise self.refused(name, f"must be at least {low:g}")
        if not value <= high:
            raise self.refused(name, f"must be at most {high:g}")
