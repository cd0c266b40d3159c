"""The engine's ports on Django: what one run may reach."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from django.conf import settings
from django.utils.module_loading import import_string

from jobs.event_log import JobLog
from jobs.statements import ClaimedJob
from nodetool_site.lib.db import db
from nodetool_site.lib.registered import is_reserved
from storage.identity import tells_users_apart
from storage.images import Images
from storage.job_assets import JobAssetStore
from storage.job_workspace import JobWorkspace
from storage.vault import reveal_secret
from workflows.engine.context import BlockingRunner, RunContext, SavedWorkflow
from workflows.node_policy import allowed_nodes
from workflows.reads import read_runnable, read_tools


class JobSecrets:
    """The secrets of a job's owner: stored ones, else the server's provider keys.

    Each reading asks the vault, so a job sees what was stored a moment ago. ``on_read``
    is told every value before a node gets it.
    """

    def __init__(self, owner_id: str, on_read: Callable[[str], None]) -> None:
        self._owner_id = owner_id
        self._on_read = on_read
        self._handles: dict[str, str] = {}

    async def get(self, name: str) -> str | None:
        """Return a value.

        Raises:
            MasterKeyError: it is stored and does not open.
        """
        if is_reserved(name):
            return None
        value = await db(reveal_secret, self._owner_id, name)
        if value is None:
            value = settings.PROVIDER_KEYS.get(name) or None
        if value is not None:
            self._on_read(value)
        return value

    async def share(self, name: str) -> str | None:
        """Return the value where the server is its user's own, else a handle.

        A handle cannot be made up: it holds a number that only this run knows, so no
        text from outside can make a node send a secret anywhere.
        """
        value = await self.get(name)
        if value is None or _is_own_server():
            return value
        handle = self._handles.get(name)
        if handle is None:
            handle = f"secret://{name}/{secrets.token_hex(16)}"
            self._handles[name] = handle
        return handle

    async def resolve(self, text: str) -> str:
        """Return a text with the handles of this run replaced by their values."""
        for name, handle in self._handles.items():
            if handle in text:
                text = text.replace(handle, await self.get(name) or "")
        return text


class JobWorkflows:
    """The stored workflows that a job's owner may run inside of it."""

    def __init__(self, owner_id: str) -> None:
        self._owner_id = owner_id

    async def get(self, workflow_id: str) -> SavedWorkflow | None:
        """Return a workflow; None if there is none that the owner may run."""
        return await db(read_runnable, workflow_id, user_id=self._owner_id)

    async def tools(self) -> list[SavedWorkflow]:
        """Return the owner's own that have ``run_mode: tool``, by name."""
        return await db(read_tools, self._owner_id)


def make_context(job: ClaimedJob, log: JobLog, blocking: BlockingRunner) -> RunContext:
    """What the nodes of this job get; everything is the job owner's."""
    return RunContext(
        job_id=job.id,
        user_id=job.owner_id,
        nodes=allowed_nodes(),
        sink=log,
        assets=JobAssetStore(job.owner_id, job.id, job.workflow_id),
        secrets=JobSecrets(job.owner_id, log.mask.learn),
        blocking=blocking,
        images=Images(blocking),
        workspace=JobWorkspace(job.owner_id),
        models=import_string(settings.RUN_MODELS)(job.owner_id, log.mask.learn),
        threads=import_string(settings.RUN_THREADS)(job.owner_id),
        workflows=JobWorkflows(job.owner_id),
        mask=log.mask,
    )


def _is_own_server() -> bool:
    return settings.SERVER_MODE == "desktop" and not tells_users_apart()
