"""Options that several commands on jobs share."""

from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import msgspec
from django.core.management.base import CommandParser

Json = dict[str, Any]


def add_params_options(parser: CommandParser) -> None:
    """Add the two ways to give the inputs of a run; both at once are wrong usage."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--params", type=json_object, metavar="JSON", help="the inputs")
    group.add_argument(
        "--params-file",
        dest="params",
        type=json_object_file,
        metavar="FILE",
        help="a file with the inputs as JSON",
    )


def json_object(text: str | bytes) -> Json:
    """Return the JSON object in a text, for argparse."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ArgumentTypeError("not a JSON object")
    return value


def json_object_file(path: str) -> Json:
    """Return the JSON object in a file, for argparse."""
    try:
        return json_object(Path(path).read_bytes())
    except OSError as error:
        raise ArgumentTypeError(f"cannot read {path}: {error.strerror}") from error


def seconds(text: str) -> float:
    """Return a positive number of seconds, for argparse."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return number
