"""Reading the environment: typed, strict, and the same everywhere."""

import io
import logging
import os
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

logger = logging.getLogger(__name__)

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})
DATABASES = ("postgresql", "sqlite3")
_ASSIGNMENT = re.compile(r"(?:export )?([A-Za-z_0-9]+)=")


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
        try:
            text = str(self.ENVIRON.get(var, "")).strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = _reason(error)
            raise ImproperlyConfigured(f"{var}_FILE cannot be read: {reason}") from None
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

    def port(self, var: str, *, default: int) -> int:
        """Return a port to listen on or to connect to."""
        value = self.whole(var, default=default)
        if not 1 <= value <= 65_535:
            raise ImproperlyConfigured(f"{var} is {value}; a port is 1 to 65535.")
        return value

    def database(self, var: str) -> dict[str, Any]:
        """Return Django's settings of the database that a URL names."""
        scheme = str(self.get_value(var)).partition("://")[0]
        if not self.DB_SCHEMES.get(scheme, "").endswith(DATABASES):
            raise ImproperlyConfigured(
                f"{var} names no database; it begins with postgresql:// or sqlite:///."
            )
        try:
            found = dict(self.db_url(var))
        except ValueError:  # its text may hold a part of the password
            raise ImproperlyConfigured(
                f"{var} is no address; write what is special in a password as %40."
            ) from None
        if found["NAME"] == ":memory:":
            raise ImproperlyConfigured(
                f"{var} names no file; it is sqlite:///PATH with three slashes."
            )
        return found

    @classmethod
    def read_dotenv(cls, path: Path) -> None:
        """Set what a file says and the process does not; an empty value says nothing.

        What is no assignment is left out, and told by its number alone: it may be a
        piece of a key.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(
                f"{path} cannot be read: {_reason(error)}"
            ) from None
        found = [_ASSIGNMENT.match(line) for line in lines]
        odd = [
            str(number)
            for number, (line, match) in enumerate(zip(lines, found, strict=True), 1)
            if match is None and line.strip() and not line.lstrip().startswith("#")
        ]
        if odd:
            logger.warning(
                "%s: not NAME=value, so left out: line %s", path, ", ".join(odd)
            )
        process = cls.ENVIRON.env
        for match in filter(None, found):
            if not process.get(match[1], "-").strip():
                del process[match[1]]
        kept = [line for line, match in zip(lines, found, strict=True) if match]
        cls.read_env(io.StringIO("\n".join(kept)))

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


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return getattr(error, "strerror", None) or "it is no text"


def saved_secret(
    path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(48)
) -> str:
    """Return the secret that ``path`` keeps; made at the first use.

    Only the owner can read the file. Of several processes that start at once, one
    makes it and all read the same.

    Raises:
        ImproperlyConfigured: it cannot be kept or read, or the file is empty.
    """
    try:
        if not path.exists():
            _save(path, make())
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(
            f"{path} cannot be used: {_reason(error)}; DB_PATH says in which folder "
            "generated keys are kept"
        ) from error
    if not text:
        raise ImproperlyConfigured(
            f"{path} is empty: put back what it held, or remove it to have a new one "
            "made"
        )
    return text


def _save(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
