"""Turns that a socket begins, tells and stops."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from chat.sessions import ChatSession
from chat.turn_views import TurnView, WorkflowTurnView
from chat.turns import Turn, TurnRequest, check, start_turn, stop_turn
from jobs.errors import JobNotFound
from jobs.services import cancel_job

LAST_FRAMES_S = 10.0
"""How long a stop waits for a client that does not take the end of its turn."""


async def begin_turn(
    session: ChatSession, request: TurnRequest, thread_id: str
) -> Turn:
    """Start a turn and tell this socket of it, once the reply at hand is queued.

    The turn before it in the thread has been told to its end when this returns.

    Raises:
        ApplicationError: as ``start_turn``.
        CommandError: the socket follows too many jobs.
    """
    check(request)
    if not request.is_answered:
        return await start_turn(session.user_id, request)
    job_id = request.job_id(session.user_id)
    if any(view.job_id == job_id for view in session.turns):
        return await start_turn(session.user_id, request)  # said twice
    await _tell_to_the_end(session, thread_id)
    kind = WorkflowTurnView if request.is_for_workflow else TurnView
    view = kind(session.user_id, thread_id, job_id, session.base_url)
    session.follow(job_id, is_new=True, view=view)
    try:
        turn = await start_turn(session.user_id, request)
    except BaseException:
        session.unfollow(job_id)
        raise
    if not turn.is_new:
        session.look_again(job_id)
    return turn


async def end_turn(session: ChatSession, thread_id: str) -> str | None:
    """Stop the turn of a thread; its job's id, None if there is none.

    If this socket is told of it, its last frames are about to leave.

    Raises:
        Unavailable: it does not end.
    """
    job_id = await stop_turn(session.user_id, thread_id)
    for view in session.turns:
        if view.thread_id == thread_id:
            await _told(view)
    return job_id


async def end_job(session: ChatSession, job_id: str) -> None:
    """Cancel a job, if it runs; the same for a turn's."""
    for view in session.turns:
        if view.job_id == job_id:
            await end_turn(session, view.thread_id)
            return
    with contextlib.suppress(JobNotFound):  # unknown, or it has ended
        await cancel_job(session.user_id, job_id)


def stopped_frame(job_id: str | None, thread_id: str | None) -> dict[str, Any]:
    """Return what tells that something was stopped."""
    return {
        "type": "generation_stopped",
        "message": "Generation stopped by user",
        "job_id": job_id,
        "thread_id": thread_id,
    }


async def _tell_to_the_end(session: ChatSession, thread_id: str) -> None:
    """End the turn of the thread that this socket is told of: its frames come first."""
    if any(view.thread_id == thread_id for view in session.turns):
        await end_turn(session, thread_id)


async def _told(view: TurnView) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_FRAMES_S):
            await view.is_over.wait()
