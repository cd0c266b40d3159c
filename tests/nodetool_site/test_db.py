"""The database threads: few, long-lived, and rid of what is broken."""

import asyncio
import contextvars
import threading

import environ
import pytest
from django.db import DatabaseError, connection, connections

from nodetool_site.lib import db as database
from nodetool_site.lib.db import close_database_threads, db


@pytest.fixture(autouse=True)
def _fresh_threads():
    close_database_threads()
    yield
    close_database_threads()


def where() -> tuple[str, int]:
    connection.ensure_connection()
    return threading.current_thread().name, id(connection.connection)


@pytest.mark.django_db(transaction=True)
async def test_calls_share_four_threads_with_a_connection_each():
    places = await asyncio.gather(*(db(where) for _ in range(200)))

    threads = {thread for thread, _ in places}
    assert len(threads) <= database.THREADS
    assert len(set(places)) == len(threads)


async def test_arguments_results_and_errors_pass():
    assert await db(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await db(divmod, 7, 0)


async def test_call_sees_the_context_of_its_caller():
    variable = contextvars.ContextVar("variable", default="outside")
    variable.set("inside")

    assert await db(variable.get) == "inside"


async def test_call_that_has_begun_runs_to_its_end_when_nobody_waits():
    begun, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        begun.set()
        go.wait(5)
        ended.set()

    task = asyncio.create_task(db(work))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    go.set()

    assert await asyncio.to_thread(ended.wait, 5)
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
def other(postgres_database, django_db_blocker):
    """A second database of Django's, on PostgreSQL."""
    connections.databases["other"] = {
        **connections.databases["default"],
        **environ.Env.db_url_config(postgres_database),
        "OPTIONS": {},
        "CONN_MAX_AGE": None,
    }
    with django_db_blocker.unblock():
        yield "other"
    close_database_threads()
    del connections.databases["other"]


def _kill_own_connection(alias: str) -> None:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def _swallow_a_lost_connection(alias: str) -> str:
    """As a view does that turns the error into an answer."""
    try:
        _kill_own_connection(alias)
    except DatabaseError:
        return "an answer"
    return "no error"


def _ask(alias: str) -> int:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]


@pytest.mark.scale_out
async def test_lost_connection_fails_one_call_and_not_the_next(other):
    for _ in range(8):
        with pytest.raises(DatabaseError):
            await db(_kill_own_connection, other)

    assert [await db(_ask, other) for _ in range(8)] == [1] * 8


@pytest.mark.scale_out
async def test_lost_connection_is_dropped_also_when_its_error_was_answered(other):
    for _ in range(8):
        assert await db(_swallow_a_lost_connection, other) == "an answer"

    assert [await db(_ask, other) for _ in range(8)] == [1] * 8
