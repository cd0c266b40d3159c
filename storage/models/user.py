"""The account that owns everything else."""

from django.contrib.auth.models import AbstractUser
from django.db import models

from storage.ids import new_id

DEFAULT_USER_ID = "1"
"""The one user of every provider that does not tell users apart."""


class User(AbstractUser):
    """An account. Its id is text, so that a foreign subject can be the primary key."""

    id = models.CharField(
        primary_key=True, max_length=64, default=new_id, editable=False
    )
    stored_bytes = models.BigIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text="Size of all files of the user.",
    )
