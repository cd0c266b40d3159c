"""Process-wide settings that are changed over the API.

The environment wins over what is stored, and that over the default. A stored value is
put into the settings, where everything reads it: of live ones at once, of the others,
and in other processes, at the next start.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from nodetool_site.lib.environment import FALSE_WORDS, TRUE_WORDS
from nodetool_site.lib.errors import ValidationFailed, problem
from nodetool_site.lib.registered import (
    SECRET_NAMES,
    SECRETS,
    SETTINGS,
    RegisteredSecret,
    RegisteredSetting,
)
from storage.errors import SecretNotFound
from storage.models import Secret, StoredSetting
from storage.models.user import DEFAULT_USER_ID
from storage.vault import delete_secret, reveal_secret, set_secret

logger = logging.getLogger(__name__)

MASK = "****"
MAX_TEXT = 2_000
BY_NAME = {setting.name: setting for setting in SETTINGS}
SECRET_SETTINGS = frozenset(setting.name for setting in SETTINGS if setting.is_secret)
_defaults: dict[str, Any] = {}
"""What counted at the start of this process, of the settings that were changed."""


def apply_stored() -> None:
    """Put what is stored into the settings; for the start of a process.

    Raises:
        MasterKeyError: a stored key does not open.
    """
    for row in StoredSetting.objects.all():
        setting = BY_NAME.get(row.name)
        if setting is not None and not setting.is_secret:
            _apply(setting, row.value)
    names = SECRET_SETTINGS - settings.SET_BY_ENVIRONMENT
    held = Secret.objects.filter(owner_id=DEFAULT_USER_ID, key__in=names)
    for name in held.values_list("key", flat=True):
        setattr(settings, name, reveal_secret(DEFAULT_USER_ID, name) or "")


def all_settings(user_id: str) -> list[dict[str, Any]]:
    """Return every setting and every provider key as the API shows it."""
    stored = dict(StoredSetting.objects.values_list("name", "value"))
    held = Secret.objects.filter(owner_id__in={user_id, DEFAULT_USER_ID})
    owned = set(held.values_list("owner_id", "key"))
    rows = []
    for setting in SETTINGS:
        if setting.is_secret:
            is_set = (DEFAULT_USER_ID, setting.name) in owned
            value = _masked(is_set or getattr(settings, setting.name))
        else:
            value = _counting(setting, stored.get(setting.name, ""))
        rows.append(_row(setting, value, setting.among))
    for secret in SECRETS:
        is_set = (user_id, secret.name) in owned
        value = _masked(is_set or settings.PROVIDER_KEYS.get(secret.name))
        rows.append(_row(secret, value))
    return rows


@transaction.atomic
def change_settings(
    user_id: str, values: Mapping[str, Any], secrets: Mapping[str, Any]
) -> None:
    """Store settings and secrets; null or "" takes one back. All or nothing.

    A secret made only of ``*`` is the mask that was shown, and stays as it is.

    Raises:
        ValidationFailed: a name is unknown or a value does not fit.
    """
    texts = {name: _text_of(name, value) for name, value in values.items()}
    wanted = {name: _secret_of(name, value) for name, value in secrets.items()}
    for name, text in texts.items():
        if text:
            StoredSetting.objects.update_or_create(name=name, defaults={"value": text})
        else:
            StoredSetting.objects.filter(name=name).delete()
    for name, value in wanted.items():
        _keep_secret(
            DEFAULT_USER_ID if name in SECRET_SETTINGS else user_id, name, value
        )
    transaction.on_commit(lambda: _apply_live(texts))


def _apply_live(texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        if BY_NAME[name].is_live:
            _apply(BY_NAME[name], text)


def _apply(setting: RegisteredSetting, text: str) -> None:
    """Put a value, or the default again, into the settings; the environment wins."""
    if setting.name in settings.SET_BY_ENVIRONMENT:
        return
    default = _defaults.setdefault(setting.name, getattr(settings, setting.name))
    try:
        value = parse(setting, text) if text else default
    except ValueError as error:
        logger.warning("stored setting %s is ignored: %s", setting.name, error)
        return
    setattr(settings, setting.name, value)


def _counting(setting: RegisteredSetting, text: str) -> Any:
    """Return what counts, now or from the next start on."""
    value = getattr(settings, setting.name)
    if text and setting.name not in settings.SET_BY_ENVIRONMENT:
        with contextlib.suppress(ValueError):  # it was stored by an older version
            value = parse(setting, text)
    return value if isinstance(value, bool | int) else str(value) or None


def _masked(is_set: Any) -> str | None:
    return MASK if is_set else None


def _row(
    known: RegisteredSetting | RegisteredSecret, value: Any, among: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "package_name": "nodetool",
        "env_var": known.name,
        "group": known.group,
        "description": known.description,
        "enum": list(among) or None,
        "value": value,
        "is_secret": isinstance(known, RegisteredSecret) or known.is_secret,
    }


def parse(setting: RegisteredSetting, text: str) -> Any:
    """Return the value that a text stands for.

    Raises:
        ValueError: it does not fit; the message says what would.
    """
    if setting.kind == "switch":
        if text.lower() not in TRUE_WORDS | FALSE_WORDS:
            raise ValueError("must be true or false")
        return text.lower() in TRUE_WORDS
    if setting.kind == "whole":
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise ValueError("must be a whole number that is not negative")
        return int(text)
    if setting.kind == "choice" and text not in setting.among:
        raise ValueError(f"must be one of: {', '.join(setting.among)}")
    if setting.kind == "folder":
        path = Path(text).expanduser()
        if not path.is_absolute():
            raise ValueError("must be the whole path of a folder")
        return path
    if setting.kind == "url" and not text.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return text


def _text_of(name: str, value: Any) -> str:
    """Return a value as it is stored, "" to take it back."""
    setting = BY_NAME.get(name)
    if setting is None or setting.is_secret:
        raise _refused("settings", name, "cannot be changed over HTTP")
    if value is None:
        return ""
    if not isinstance(value, str | bool | int):
        raise _refused("settings", name, "must be a text, number or switch")
    text = str(value).strip()
    if len(text) > MAX_TEXT or not text.isprintable():
        raise _refused("settings", name, "must be one line of text")
    try:
        if text:
            parse(setting, text)
    except ValueError as error:
        raise _refused("settings", name, str(error)) from error
    return text


def _secret_of(name: str, value: Any) -> str:
    if name not in SECRET_NAMES | SECRET_SETTINGS:
        raise _refused("secrets", name, "is not a registered secret")
    if not isinstance(value, str | None):
        raise _refused("secrets", name, "must be a text")
    return value or ""


def _keep_secret(owner_id: str, name: str, value: str) -> None:
    if not value:
        with contextlib.suppress(SecretNotFound):
            delete_secret(owner_id, name)
    elif value.strip("*"):
        set_secret(owner_id, name, value)


def _refused(part: str, name: str, text: str) -> ValidationFailed:
    """Return the refusal. What was given is not echoed: it may be a secret."""
    entry = problem("value_error", ("body", part, name), f"{name} {text}")
    return ValidationFailed([entry])
