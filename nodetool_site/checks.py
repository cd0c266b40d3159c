"""Whether the settings make sense together: for ``check`` and the server's start."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core import checks

from nodetool_site.lib.auth_providers import (
    ENFORCING_PROVIDERS,
    OPEN_PROVIDERS,
    PROVIDERS,
    SUPABASE,
)
from nodetool_site.lib.egress import read_opened
from nodetool_site.lib.hosts import is_loopback
from nodetool_site.lib.modes import CHAT_SERVER, CLOSED, HARDENED, PUBLIC
from nodetool_site.lib.surfaces import is_on
from storage.crypto import HOW_TO_MAKE_ONE, key_problem
from storage.static_token import MIN_LENGTH, weak_source
from storage.stores import can_use_buckets, uses_buckets

# What templates and tutorials put in the place of a key.
SAMPLE_PREFIX = "django-insecure-"
SAMPLE_KEYS = frozenset(
    {
        "changeme",
        "changethis",
        "changemeplease",
        "default",
        "dev",
        "devsecretkey",
        "development",
        "insecure",
        "mysecretkey",
        "replaceme",
        "secret",
        "secretkey",
        "supersecret",
        "supersecretkey",
        "test",
        "yoursecretkey",
        "yoursecretkeyhere",
    }
)
REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
MIN_CHARACTERS = 5  # different ones, as Django's own check counts
MIN_SECRET_BYTES = 32  # of HS256

Problem = tuple[str, str, str]


def settings_problems() -> Iterable[Problem]:
    """Yield id, problem and cure of everything that keeps a server from starting."""
    yield from process_problems()
    yield from _provider_problems()
    if settings.SERVER_MODE in HARDENED and "*" in settings.ALLOWED_HOSTS:
        yield (
            "nodetool.E011",
            f"ALLOWED_HOSTS=* in {settings.SERVER_MODE} mode would serve any Host name",
            "list the names by which clients reach this server",
        )
    yield from _egress_problems()


def process_problems() -> Iterable[Problem]:
    """Yield what keeps any process from starting, also one that nobody calls."""
    if settings.IS_SCALE_OUT and settings.IS_SQLITE:
        yield (
            "nodetool.E001",
            "A broker is configured, but the database is SQLite, which several "
            "processes cannot share",
            "set DATABASE_URL to a PostgreSQL database, or unset REDIS_URL and "
            "CELERY_BROKER_URL",
        )
    if uses_buckets() and not can_use_buckets():
        yield (
            "nodetool.E021",
            "S3_ENDPOINT_URL or S3_ACCESS_KEY_ID is set, but the package that speaks "
            "S3 is not installed",
            "pip install 'nodetool[s3]', or unset them",
        )
    layer: str = settings.CHANNEL_LAYER_URL
    if layer and not layer.startswith(REDIS_SCHEMES):
        yield (
            "nodetool.E022",
            "REDIS_URL (or CHANNEL_LAYER_URL) is no address of a Redis",
            f"it begins with {', '.join(REDIS_SCHEMES)}",
        )
    if settings.IS_SCALE_OUT and not settings.CHANNEL_LAYER_URL:
        yield (
            "nodetool.E002",
            "The broker is not Redis, and there is none for announcements",
            "set REDIS_URL (or CHANNEL_LAYER_URL) beside CELERY_BROKER_URL",
        )
    if settings.CHANNEL_LAYER_URL and not settings.IS_SCALE_OUT:
        yield (
            "nodetool.E003",
            "CHANNEL_LAYER_URL is set, but there is no broker",
            "set REDIS_URL or CELERY_BROKER_URL, or unset CHANNEL_LAYER_URL",
        )
    yield from _key_problems()
    if settings.DEBUG and (settings.IS_PRODUCTION or settings.SERVER_MODE in HARDENED):
        yield (
            "nodetool.E004",
            f"DEBUG is on with {_place(HARDENED)}: "
            "error answers would show source code",
            "unset DEBUG",
        )


def _egress_problems() -> Iterable[Problem]:
    try:
        opened = read_opened(settings.ALLOW_PRIVATE_EGRESS)
    except ValueError as error:
        yield (
            "nodetool.E023",
            f"ALLOW_PRIVATE_EGRESS names '{error}', which is neither a host nor a "
            "network",
            "write hosts as in addresses, and networks as 10.1.0.0/16",
        )
        return
    if settings.SERVER_MODE in HARDENED and opened.is_everything:
        yield (
            "nodetool.E016",
            f"ALLOW_PRIVATE_EGRESS=1 in {settings.SERVER_MODE} mode would let callers "
            "look into all of this server's network",
            "name the hosts or networks that they may reach, or unset it",
        )


def listening_problems(host: str, *, may_be_open: bool) -> Iterable[Problem]:
    """Yield what forbids to listen on ``host``, which only a server knows."""
    is_open = settings.AUTH_PROVIDER in OPEN_PROVIDERS
    if is_open and not may_be_open and not is_loopback(host):
        is_chat_server = settings.SERVER_MODE == CHAT_SERVER
        way_out = "" if is_chat_server else ", or say --allow-unauthenticated"
        yield (
            "nodetool.E012",
            f"AUTH_PROVIDER={settings.AUTH_PROVIDER} on {host} would let anybody in",
            f"choose static or multi_user{way_out}",
        )


def _key_problems() -> Iterable[Problem]:
    if settings.IS_PRODUCTION and not settings.DJANGO_SECRET_KEY:
        yield (
            "nodetool.E009",
            "ENV=production needs DJANGO_SECRET_KEY",
            "set it to a long random text",
        )
    if _is_sample(settings.SECRET_KEY):
        yield (
            "nodetool.E010",
            "DJANGO_SECRET_KEY is a sample that everybody knows",
            "set it to a long random text, or unset it to have one made",
        )
    if settings.IS_PRODUCTION and not settings.SECRETS_MASTER_KEY:
        yield (
            "nodetool.E005",
            "ENV=production needs SECRETS_MASTER_KEY",
            f"`{HOW_TO_MAKE_ONE}` makes one; keep a copy",
        )
    if problem := key_problem(settings.SECRETS_MASTER_KEY):
        yield (
            "nodetool.E017",
            f"SECRETS_MASTER_KEY is unusable: {problem}",
            f"`{HOW_TO_MAKE_ONE}` makes one",
        )
    if settings.IS_PRODUCTION and 0 < len(settings.ADMIN_TOKEN) < MIN_LENGTH:
        yield (
            "nodetool.E013",
            f"ADMIN_TOKEN is shorter than {MIN_LENGTH} characters",
            "choose a longer one",
        )


def _provider_problems() -> Iterable[Problem]:
    mode, provider = settings.SERVER_MODE, settings.AUTH_PROVIDER
    if provider not in PROVIDERS:
        yield (
            "nodetool.E018",
            f"AUTH_PROVIDER '{provider}' is not available",
            f"choose one of: {', '.join(PROVIDERS)}",
        )
        return
    if mode == PUBLIC and provider != SUPABASE:
        yield (
            "nodetool.E007",
            f"Public mode needs AUTH_PROVIDER=supabase, not {provider}",
            "set it with SUPABASE_URL and SUPABASE_KEY, or use --mode private",
        )
    if provider in OPEN_PROVIDERS and (settings.IS_PRODUCTION or mode in CLOSED):
        yield (
            "nodetool.E006",
            f"AUTH_PROVIDER={provider} with {_place(CLOSED)} would let anybody in",
            "set AUTH_PROVIDER to static, multi_user or supabase",
        )
    if provider == SUPABASE:
        yield from _supabase_problems()
    if mode in HARDENED:
        for problem, cure in _guessable():
            yield "nodetool.E019", problem, cure


def _supabase_problems() -> Iterable[Problem]:
    missing = [
        name for name in ("SUPABASE_URL", "SUPABASE_KEY") if not getattr(settings, name)
    ]
    if missing:
        yield (
            "nodetool.E008",
            f"AUTH_PROVIDER=supabase needs {' and '.join(missing)}",
            "copy them from the settings of the Supabase project",
        )
    elif not _is_web_address(settings.SUPABASE_URL):
        yield (
            "nodetool.E020",
            "SUPABASE_URL is no http or https address",
            "copy it from the settings of the Supabase project",
        )


def _guessable() -> Iterable[tuple[str, str]]:
    """Yield what a stranger might guess: a warning on a desktop, else an error."""
    if settings.AUTH_PROVIDER in ENFORCING_PROVIDERS and (source := weak_source()):
        yield (
            f"The token of {source} is shorter than {MIN_LENGTH} characters",
            "choose a longer one",
        )
    secret: str = settings.SUPABASE_JWT_SECRET
    is_used = settings.AUTH_PROVIDER == SUPABASE and bool(secret)
    if is_used and len(secret.encode()) < MIN_SECRET_BYTES:
        yield (
            f"SUPABASE_JWT_SECRET is shorter than {MIN_SECRET_BYTES} bytes",
            "copy the project's; it is longer",
        )


def _is_web_address(text: str) -> bool:
    try:
        address = urlsplit(text)
    except ValueError:
        return False
    return address.scheme in ("http", "https") and bool(address.hostname)


def _place(careful: Container[str]) -> str:
    """Name what asks for more care than a desktop: a careful mode, or production."""
    mode = settings.SERVER_MODE
    return f"{mode} mode" if mode in careful else "ENV=production"


def _is_sample(key: str) -> bool:
    """Tell whether a key comes from a template or is hardly one."""
    plain = re.sub(r"[^a-z0-9]", "", key.lower())
    return (
        key.startswith(SAMPLE_PREFIX)
        or len(set(key)) < MIN_CHARACTERS
        or plain in SAMPLE_KEYS
    )


def settings_warnings() -> Iterable[Problem]:
    """Yield what is allowed and hardly meant."""
    if settings.IS_PRODUCTION and settings.IS_SQLITE:
        yield (
            "nodetool.W001",
            "SQLite in production: one process, one writer",
            "set DATABASE_URL to a PostgreSQL database",
        )
    if settings.IS_PRODUCTION and not settings.ADMIN_TOKEN and is_on("admin"):
        yield (
            "nodetool.W002",
            "ADMIN_TOKEN is not set: nobody can open the admin pages",
            f"set it to a random text of {MIN_LENGTH} characters or more",
        )
    if settings.SERVER_MODE not in HARDENED:
        for problem, cure in _guessable():
            yield "nodetool.W004", f"{problem}: anybody may guess it", cure
    if settings.SERVER_TOOLS:
        yield from _tool_warnings()


def _tool_warnings() -> Iterable[Problem]:
    """Yield the server's tools that only a user's own workflow can be."""
    # Here, because the settings are checked without any node as well.
    from workflows.agents.tool_names import node_named
    from workflows.engine.errors import NodeTypeOff
    from workflows.node_policy import allowed_nodes
    from workflows.shipped_examples import example_tools

    everybodys = {example.fields.tool_name for example in example_tools()}
    for name in settings.SERVER_TOOLS:
        if name in everybodys:
            continue
        try:
            problem = "is no node" if node_named(name, allowed_nodes()) is None else ""
        except NodeTypeOff as error:
            problem = f"is none: {error}"
        if problem:
            yield (
                "nodetool.W003",
                f"NODETOOL_TOOLS (--tools): the tool '{name}' {problem}",
                "name a node with expose_as_tool, or see that each user who asks has a "
                "workflow with run mode 'tool' and this tool name; without it they get "
                "no answer",
            )


def register() -> None:
    """Make the problems known to ``manage.py check``."""
    checks.register(check_settings)


def check_settings(
    app_configs: Sequence[AppConfig] | None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Report the problems the way Django's ``check`` does."""
    errors = [
        checks.Error(msg, hint=hint, id=id_) for id_, msg, hint in settings_problems()
    ]
    warnings = [
        checks.Warning(msg, hint=hint, id=id_) for id_, msg, hint in settings_warnings()
    ]
    return [*errors, *warnings]
