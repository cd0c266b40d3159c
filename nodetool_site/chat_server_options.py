"""The options of ``nodetool chat-server``, and what they change in the settings."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from chat.providers import is_on
from nodetool_site.checks import Problem, listening_problems, settings_problems
from nodetool_site.lib.modes import CHAT_SERVER
from nodetool_site.serve_options import (
    add_common_options,
    apply_authentication,
    refuse_problems,
)
from storage.management.nouns import names
from workflows.providers.registry import PROVIDERS

DEFAULT_MODEL = "gpt-oss:20b"


def add_options(parser: CommandParser) -> None:
    """Declare the options."""
    add_common_options(parser)
    parser.add_argument(
        "--default-model",
        type=model_id,
        default=settings.DEFAULT_MODEL_CHOSEN or DEFAULT_MODEL,
        metavar="MODEL",
        help="of a request that names none (default: %(default)s)",
    )
    parser.add_argument(
        "--provider",
        choices=tuple(PROVIDERS),
        default=settings.CHAT_PROVIDER,
        help="asked first for a model (default: %(default)s)",
    )
    parser.add_argument(
        "--tools",
        type=names,
        default=settings.SERVER_TOOLS,
        metavar="NAME,...",
        help="tools that the server itself runs for its models",
    )
    parser.add_argument(
        "--workflow",
        action="append",
        type=existing_file,
        default=[],
        dest="workflows",
        metavar="FILE",
        help="a workflow (JSON) to serve as the model workflow:ID; may be repeated",
    )


def apply_options(options: dict[str, Any]) -> None:
    """Put the options into the settings, and check them together.

    Raises:
        CommandError: the server must not start like this.
    """
    settings.SERVER_MODE = CHAT_SERVER
    apply_authentication(options)
    settings.DEFAULT_MODEL = options["default_model"]
    settings.CHAT_PROVIDER = options["provider"]
    settings.SERVER_TOOLS = options["tools"]
    refuse_problems(
        settings_problems(),
        listening_problems(options["host"], may_be_open=False),
        _model_problems(),
    )


def model_id(text: str) -> str:
    """Return the id of a model.

    Raises:
        ArgumentTypeError: it is blank.
    """
    if text.strip():
        return text.strip()
    raise argparse.ArgumentTypeError("a model needs an id")


def existing_file(text: str) -> Path:
    """Return the path of a file.

    Raises:
        ArgumentTypeError: there is none.
    """
    path = Path(text)
    if path.is_file():
        return path
    raise argparse.ArgumentTypeError(f"there is no file '{text}'")


def _model_problems() -> Iterable[Problem]:
    if not is_on(settings.CHAT_PROVIDER):
        yield (
            "nodetool.E015",
            f"The provider {settings.CHAT_PROVIDER} is off in {CHAT_SERVER} mode",
            "set NODETOOL_ENABLE_FAKE_PROVIDER=1, or choose another --provider",
        )
