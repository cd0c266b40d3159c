"""All that is stored for a user, to tell whether somebody has changed it."""

import asyncio
from typing import Any

from django.apps import apps
from django.db.models import Model

from nodetool_site.lib.db import db

APPS = ("storage", "workflows", "jobs", "chat")
OWNED_BY = ("owner", "workflow__owner", "job__owner", "thread__owner")

# What the server itself moves while a job runs or a token is used.
MOVING = {
    "jobs.Job": {
        "progress", "last_seq", "attempt", "worker_id", "running_nodes",
        "has_started_nodes", "commands_taken", "rung_at", "started_at",
    },
    "storage.ApiToken": {"last_used_at"},
    "storage.Secret": {"last_used_at"},
    "storage.User": {"last_login"},
}  # fmt: skip
LEFT_OUT = {"jobs.EventBatch", "jobs.Worker"}


def belongings(user_id: str) -> dict[str, list[Any]]:
    """Every row of every model that belongs to a user, by model."""
    return {
        model._meta.label: _rows(model, user_id)
        for app in APPS
        for model in apps.get_app_config(app).get_models()
        if model._meta.label not in LEFT_OUT
    }


async def at_rest(user_id: str) -> None:
    """Wait until what a user keeps changes no more: a job of theirs may be ending."""
    before = None
    async with asyncio.timeout(30):
        while (now := await db(belongings, user_id)) != before:
            before = now
            await asyncio.sleep(0.02)


def _rows(model: type[Model], user_id: str) -> list[Any]:
    label = model._meta.label
    names = {field.name for field in model._meta.get_fields()}
    if label == "storage.User":
        rows = model.objects.filter(pk=user_id)
    else:
        path = next((p for p in OWNED_BY if p.partition("__")[0] in names), None)
        rows = model.objects.filter(**{path: user_id}) if path else model.objects.all()
    columns = [
        field.attname
        for field in model._meta.concrete_fields
        if field.attname not in MOVING.get(label, ())
    ]
    return [
        {name: bytes(v) if isinstance(v, memoryview) else v for name, v in row.items()}
        for row in rows.order_by("pk").values(*columns)
    ]
