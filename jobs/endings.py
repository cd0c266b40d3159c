"""Who wants to know that a job has ended, by its type.

An application above this one registers what it derives from a job's log. It is told by
the process that ended the job, after the commit. One that is lost tells nobody, nor
does the heartbeat's thread that ends its jobs: whoever reads what is derived has to
look for itself.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Hook: TypeAlias = Callable[[str], Awaitable[None]]

logger = logging.getLogger(__name__)

_hooks: dict[str, Hook] = {}


def on_end(job_type: str, hook: Hook) -> None:
    """Await ``hook`` with the id of each job of a type that has ended."""
    _hooks[job_type] = hook


async def tell(job_type: str, job_id: str) -> None:
    """Tell that a job has ended. Never raises for what a hook does."""
    hook = _hooks.get(job_type)
    if hook is None:
        return
    try:
        await hook(job_id)
    except Exception:
        logger.exception("the end of job %s was not taken note of", job_id)
