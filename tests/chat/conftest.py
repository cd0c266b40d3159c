"""What tests of conversations need: users, and an engine that runs their turns."""

from tests.jobs.conftest import (
    _no_reader_is_left,
    engine,
    me,
    new_job,
    owner,
    users,
)
from tests.providers.conftest import _connections_are_closed

__all__ = [
    "_connections_are_closed",
    "_no_reader_is_left",
    "engine",
    "me",
    "new_job",
    "owner",
    "users",
]
