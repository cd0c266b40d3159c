"""A job that somebody waits for, told like a model's answer; it goes when they go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from chat.errors import CompletionFailed
from chat.openai_api.job_readings import ProviderReading, WorkflowReading
from jobs import feed, process, services
from jobs.abandoned import cancel_soon
from jobs.requests import JobRequest
from workflows.providers.base import ProviderError
from workflows.providers.messages import Chunk


async def run_job(
    job: JobRequest, reading: ProviderReading | WorkflowReading, owner_id: str
) -> AsyncGenerator[Chunk, None]:
    """Run a job that makes one answer, and yield what ``reading`` finds in its log.

    Whoever closes the generator before its end, or cancels whoever waits for its next
    step, cancels the job.

    Raises:
        ApplicationError, ProviderError: what the job has failed with, or why it did not
            begin; see ``create_job`` and ``reading``.
    """
    process.listen()
    reader = feed.open_reader(job.job_id, owner_id=owner_id, is_new=True)
    creation = asyncio.ensure_future(
        services.create_job(owner_id, job, must_start=True)
    )
    ends_by_itself = False
    try:
        await asyncio.shield(creation)
        async with aclosing(reader.pages()) as pages:  # type: ignore[type-var]
            async for page in pages:
                for line in page.lines:
                    for _, chunk in await reading.read(line):
                        if chunk is None:
                            ends_by_itself = True
                            return
                        yield chunk
        raise CompletionFailed("What the run has told is not stored any more")
    except ProviderError:
        ends_by_itself = True
        raise
    finally:
        reader.close()
        if not (ends_by_itself or reader.is_done):
            cancel_soon(owner_id, job.job_id, created=creation)
