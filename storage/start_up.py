"""What every process that serves or runs jobs does before anything else."""

from __future__ import annotations

import contextlib
from urllib.parse import unquote, urlsplit

from django.conf import settings

from nodetool_site.lib import redaction
from storage import master_key, static_token, stored_settings
from storage.master_key import check_master_key

OWN_SECRETS = (
    "SECRET_KEY",
    "SERVER_AUTH_TOKEN",
    "ADMIN_TOKEN",
    "SECRETS_MASTER_KEY",
    "SUPABASE_KEY",
    "SUPABASE_JWT_SECRET",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
)


_is_prepared = False


def prepare_process() -> None:
    """Check the master key, apply stored settings, keep keys out of the log.

    Raises:
        MasterKeyError: the process must not start like this.
    """
    global _is_prepared
    hide_configured()
    check_master_key()
    stored_settings.apply_stored()
    _is_prepared = True


def is_prepared() -> bool:
    """Tell whether this process has been prepared."""
    return _is_prepared


def hide_configured() -> None:
    """Let the log know the server's own keys, to hide them; made ones as well."""
    for name in OWN_SECRETS:
        for part in str(getattr(settings, name, "")).split(","):
            redaction.learn(part.strip())
    for path in (static_token.FILE_NAME, master_key.FILE_NAME):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            for line in (settings.DATA_FOLDER / path).read_text().splitlines():
                redaction.learn(line.strip())
    for value in settings.PROVIDER_KEYS.values():
        redaction.learn(value)
    redaction.learn(str(settings.DATABASES["default"].get("PASSWORD") or ""))
    for address in (settings.CELERY_BROKER_URL, settings.CHANNEL_LAYER_URL):
        with contextlib.suppress(ValueError):  # no address: who connects will say so
            redaction.learn(unquote(urlsplit(address).password or ""))
