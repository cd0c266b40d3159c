"""Times in statements that do not go through the ORM."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone


def adapt(moment: datetime | None) -> Any:
    """Return an aware time as the database's driver takes it."""
    return connection.ops.adapt_datetimefield_value(moment)


def aware(value: Any) -> datetime:
    """Return a time as the driver gives it: text on SQLite, aware on PostgreSQL."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if timezone.is_aware(value) else timezone.make_aware(value)
