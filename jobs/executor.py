"""One attempt of one job, start to end: load, run, record.

The claim has been made and its event stored when an attempt begins. It ends with the
terminal event stored, or fenced: then somebody else has settled the job, and nothing
that this attempt still had to say is written.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from jobs import commands, endings, settlement
from jobs.event_log import Fenced, JobLog
from jobs.models import Command, Status
from jobs.run_state import run_state
from jobs.settlement import Ending
from jobs.statements import ClaimedJob
from nodetool_site.lib.db import db
from nodetool_site.lib.errors import ApplicationError, Unavailable
from workflows.engine.context import RunContext
from workflows.engine.errors import EngineError, NodeError
from workflows.engine.events import JobUpdate, LogUpdate
from workflows.engine.graph import load_graph
from workflows.engine.runner import GraphRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobs.commands import StoredCommand

logger = logging.getLogger(__name__)

CANCELLED_BY_USER = "Job cancelled by user"
RETRY_S = 1.0


class Attempt:
    """A job while this process holds it. Lives on the engine's loop."""

    def __init__(
        self,
        claimed: ClaimedJob,
        *,
        make_context: Callable[[ClaimedJob, JobLog], RunContext],
        at_once: bool,
        time_limit_s: float,
    ) -> None:
        self.job_id = claimed.id
        self._claimed = claimed
        self._time_limit_s = time_limit_s
        self.log = JobLog(
            job_id=claimed.id,
            workflow_id=claimed.workflow_id,
            owner_id=claimed.owner_id,
            attempt=claimed.attempt,
            last_seq=claimed.last_seq,
            on_fenced=self._interrupt,
            at_once=at_once,
        )
        self._context = make_context(claimed, self.log)
        self._run: GraphRun | None = None
        self.task: asyncio.Task[Any] | None = None
        self._cancel_reason = ""
        self._failure = ""
        self._has_run = False
        self.last_command = 0
        self._reading = asyncio.Lock()

    @property
    def running_nodes(self) -> list[tuple[str, str, str]]:
        """The nodes under way."""
        return self.log.running_nodes

    async def execute(self) -> None:
        """Run the job to its end and store it. Never raises for what a graph does."""
        self.task = asyncio.current_task()
        try:
            try:
                update = await self._outcome()
            finally:
                self._has_run = True
                self.log.release()
            self.log.change_status(update.status, update)
            await self.log.stored()
            await endings.tell(self._claimed.job_type, self.job_id)
        except Fenced:
            if self.log.error is None:
                logger.warning("job %s is held by somebody else: dropped", self.job_id)
            else:
                await self._end_unstorable(self.log.error)

    def cancel(self, reason: str = CANCELLED_BY_USER) -> None:
        """Stop every node; the job ends ``cancelled``."""
        if not self._cancel_reason:
            self._cancel_reason = reason
            self._interrupt()

    def abandon(self, reason: str) -> None:
        """Give the job up because this process ends.

        With no node started nothing is written: the job is scheduled again when the
        process is found gone. Else the job fails with ``reason`` and the node's name.
        """
        if self.log.has_started_nodes:
            self._failure = describe_loss(reason, self.running_nodes)
        self._interrupt()

    async def read_commands(self) -> None:
        """Apply the commands that were stored since the last time, in order."""
        async with self._reading:
            for command in await db(
                commands.read, self.job_id, after=self.last_command
            ):
                self.last_command = command.id
                self.log.commands_taken = command.id
                self._apply(command)

    async def _outcome(self) -> JobUpdate:
        try:
            async with asyncio.timeout(self._time_limit_s or None):
                await self._run_graph()
        except TimeoutError:
            limit = f"{self._time_limit_s:g} s (JOB_TIME_LIMIT)"
            return await self._ended(Status.FAILED, error=f"Timed out after {limit}")
        except asyncio.CancelledError:
            if self.log.is_fenced or not (self._cancel_reason or self._failure):
                raise Fenced(self.job_id) from None
            _uncancel()
            if self._cancel_reason:
                return await self._ended(Status.CANCELLED, message=self._cancel_reason)
            return await self._ended(Status.FAILED, error=self._failure)
        except NodeError as error:
            text = f"{error.node_name}: {error}"
            return await self._ended(Status.FAILED, error=text)
        except EngineError as error:
            return await self._ended(Status.FAILED, error=str(error))
        except Fenced:
            raise
        except Exception as error:
            logger.exception("job %s failed in the server", self.job_id)
            text = f"Internal error: {type(error).__name__}"
            return await self._ended(Status.FAILED, error=text)
        return await self._ended(Status.COMPLETED)

    async def _end_unstorable(self, error: Exception) -> None:
        """End the job by itself: nothing that its log still holds can be stored.

        A database that is away is asked again until it answers; the worker lives, so
        nobody else would end the job.
        """
        text = "The events of this job could not be stored"
        if isinstance(error, ApplicationError):  # made for the user: no room, too much
            text = f"{text}: {error.message}"
        logger.error("job %s: %s: %s", self.job_id, text, error)
        ending = Ending(
            self.job_id,
            Status.FAILED,
            error=text,
            node_error=text,
            attempt=self.log.attempt,
        )
        while True:
            try:
                await settlement.end_job(ending)
            except Unavailable:
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _run_graph(self) -> None:
        graph = load_graph(self._claimed.graph.encode())
        params = msgspec.json.decode(self._claimed.params)
        run = self._run = GraphRun(graph, context=self._context, params=params)
        self.log.progress = lambda: run.progress
        await self._begin()
        await run.execute()

    async def _begin(self) -> None:
        if self._claimed.waited:
            await self.read_commands()
            # A cancel that came before the start takes effect here.
            await asyncio.sleep(0)

    async def _ended(
        self, status: str, *, error: str | None = None, message: str | None = None
    ) -> JobUpdate:
        result = None
        if self._run is not None:
            result = await self._run.outputs.result()
        if status != Status.COMPLETED and not (result or {}).get("outputs"):
            result = None
        if status == Status.COMPLETED and result is None:
            result = {"outputs": {}}
        return JobUpdate(
            status=status,  # type: ignore[arg-type] # one of the wire's words
            message=message,
            result=result,
            error=error or None,
            usage=self._context.usage.document() or UNSET,
            duration=round(time.time() - self._claimed.started_at.timestamp(), 6),
        )

    def _apply(self, command: StoredCommand) -> None:
        run = self._run
        if command.kind == Command.Kind.CANCEL:
            self.cancel()
        elif run is None:
            return
        elif command.kind == Command.Kind.PAUSE and not run.is_paused:
            run.pause()
            update = JobUpdate(
                status="suspended",
                message="Job paused",
                run_state=run_state(
                    Status.PAUSED,
                    reason="paused by user",
                    strategy=self._claimed.execution_strategy,
                ),
            )
            self.log.change_status(Status.PAUSED, update)
            self.log.hold()
        elif command.kind == Command.Kind.RESUME and run.is_paused:
            update = JobUpdate(
                status="running",
                message="Job resumed successfully",
                run_state=run_state(
                    Status.RUNNING, strategy=self._claimed.execution_strategy
                ),
            )
            self.log.release(Status.RUNNING, update)
            run.resume()
        elif command.kind == Command.Kind.ANSWER:
            payload = command.payload
            self._context.questions.give(payload["question"], payload["answer"])
        elif command.kind in (Command.Kind.INPUT, Command.Kind.END_INPUT):
            self._feed_input(run, command)

    def _feed_input(self, run: GraphRun, command: StoredCommand) -> None:
        payload = command.payload
        try:
            if command.kind == Command.Kind.INPUT:
                run.push_input(
                    payload["input"], payload["value"], handle=payload.get("handle")
                )
            else:
                run.end_input(payload["input"], handle=payload.get("handle"))
        except EngineError as error:
            # It was checked when it was stored; what is left is a race with the end.
            self.log.emit(
                LogUpdate(
                    content=f"An input item was not taken: {error}",
                    severity="warning",
                )
            )

    def _interrupt(self) -> None:
        # Once the outcome is there it is stored, whatever else happens.
        if self.task is not None and not self._has_run:
            self.task.cancel()


def describe_loss(reason: str, running: list[tuple[str, str, str]]) -> str:
    """``reason`` with the nodes that were under way."""
    names = ", ".join(f"'{name}'" for _, name, _ in running[:5])
    if not names:
        return f"{reason} between two nodes"
    more = f" and {len(running) - 5} more" if len(running) > 5 else ""
    return f"{reason} while running node {names}{more}"


def _uncancel() -> None:
    task = asyncio.current_task()
    if task is not None:
        task.uncancel()
