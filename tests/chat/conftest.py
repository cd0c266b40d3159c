"""What tests of conversations need: users, and an engine that runs their turns."""

from tests.jobs.conftest import _no_reader_is_left, engine, me, new_job, owner, users

__all__ = ["_no_reader_is_left", "engine", "me", "new_job", "owner", "users"]
