"""Reading the environment: typed, strict, and the same everywhere."""

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


class Environment(environ.FileAwareEnv):  # type: ignore[misc] # untyped
    """django-environ with strict values.

    An empty variable counts as unset, ``NAME_FILE`` names a file that holds the
    value (its last newline does not count), and a value that cannot be read stops
    the start with a message that names the variable.
    """

    def get_value(
        self,
        var: str,
        cast: Any = None,
        default: Any = environ.FileAwareEnv.NOTSET,
        parse_default: bool = False,  # noqa: FBT001, FBT002 - the base class's signature
    ) -> Any:
        """Return the value of ``var`` as ``cast``, or ``default``."""
        text = str(self.ENVIRON.get(var, "")).strip()
        if text:
            return self._parse(var, text, cast)
        if default is self.NOTSET:
            raise ImproperlyConfigured(f"Set the environment variable {var}.")
        return default

    def choice(self, var: str, *, default: str, among: Sequence[str]) -> str:
        """Return the value of ``var``, one of ``among``, in lower case."""
        value = str(self.get_value(var, default=default)).lower()
        if value not in among:
            allowed = ", ".join(filter(None, among))
            raise ImproperlyConfigured(
                f"{var} is '{value}'; it must be one of: {allowed}."
            )
        return value

    def words(self, var: str, *, default: list[str]) -> list[str]:
        """Return the comma-separated values of ``var``."""
        value = self.get_value(var, default=None)
        if value is None:
            return default
        return [word for word in (part.strip() for part in value.split(",")) if word]

    def whole(self, var: str, *, default: int) -> int:
        """Return a number that is not negative."""
        value = int(self.get_value(var, cast=int, default=default))
        if value < 0:
            raise ImproperlyConfigured(f"{var} must not be negative.")
        return value

    def _parse(self, var: str, text: str, cast: Any) -> Any:
        if cast is bool:
            return _parse_bool(var, text)
        try:
            return self.parse_value(text, cast)
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"{var} has an unusable value.") from error


def _parse_bool(var: str, text: str) -> bool:
    word = text.lower()
    if word in TRUE_WORDS:
        return True
    if word in FALSE_WORDS:
        return False
    raise ImproperlyConfigured(f"{var} must be 1, true, yes, on or 0, false, no, off.")


def saved_secret(
    path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(48)
) -> str:
    """Return the secret that ``path`` keeps; made at the first use.

    Only the owner can read the file. Of several processes that start at once, one
    makes it and all read the same.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        draft.touch(mode=0o600)
        draft.write_text(make())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
