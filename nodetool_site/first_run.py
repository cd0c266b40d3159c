"""What a new data folder needs before its first request, and what each start tidies up.

The row of user ``1`` is the mark that the first run is over: it is written in one
transaction with everything else, so a start that was cut off begins again.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction

from nodetool_site.lib.surfaces import is_on
from storage.files import remove_stale_drafts
from storage.models import User
from storage.models.user import DEFAULT_USER_ID
from workflows.services import load_examples

ADMIN_NAME = "admin"
ITERATIONS = 1_000
# Django's own command, wherever the server was installed from.
HOW_TO_SET_ONE = "django-admin changepassword --settings nodetool_site.settings"


def make_folders() -> None:
    """Make the folders of the database and of the files, for their owner only.

    That of the files is for the group as well where a proxy sends them.
    """
    make_folder(settings.DATA_FOLDER)
    mode = 0o700 if settings.SENDFILE_HEADER == "none" else 0o750
    make_folder(settings.ASSET_FOLDER, mode=mode)


def make_folder(folder: Path, *, mode: int = 0o700) -> None:
    """Make a folder for its owner only.

    One that exists keeps its permissions: it may be shared on purpose.

    Raises:
        ImproperlyConfigured: it cannot be made.
    """
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The folder {folder} cannot be made: {error.strerror}; DB_PATH and "
            "ASSET_FOLDER say where data lies"
        ) from error


def prepare(*, is_desktop: bool) -> list[str]:
    """Make user ``1`` and load the examples, once. The tables must be there.

    Returns the lines to print; from the second start on there are none. In desktop
    mode one of them holds the password of the admin pages, which is kept nowhere.
    """
    remove_stale_drafts()
    if User.objects.filter(pk=DEFAULT_USER_ID).exists():
        return []
    password = secrets.token_urlsafe(12) if is_desktop else ""
    try:
        with transaction.atomic():
            name = _make_staff(password)
            examples = load_examples(DEFAULT_USER_ID)
    except IntegrityError:
        if User.objects.filter(pk=DEFAULT_USER_ID).exists():
            return []  # another process was first
        raise
    lines = [f"Loaded {len(examples)} example workflows."]
    return [*lines, _admin_line(name, password)] if is_on("admin") else lines


def _make_staff(password: str) -> str:
    """Write the row; return its name, which somebody may have taken before."""
    is_taken = User.objects.filter(username=ADMIN_NAME).exists()
    name = f"{ADMIN_NAME}-{DEFAULT_USER_ID}" if is_taken else ADMIN_NAME
    user = User(id=DEFAULT_USER_ID, username=name, is_staff=True, is_superuser=True)
    if password:
        user.password = _quick_hash(password)
    else:
        user.set_unusable_password()
    user.save(force_insert=True)
    return name


def _quick_hash(password: str) -> str:
    """Hash a password that is random: nobody can guess it, however quick a guess is.

    Django's million rounds would be a third of a second of the first start; it makes
    up for them when the password is first used.
    """
    hasher = PBKDF2PasswordHasher()
    return hasher.encode(password, hasher.salt(), iterations=ITERATIONS)


def _admin_line(name: str, password: str) -> str:
    if password:
        return f"Admin pages: user {name}, password {password} (shown only now)."
    cure = f"`{HOW_TO_SET_ONE} {name}` sets one"
    return f"Admin pages: user {name} has no password; {cure}."
