"""Importing a library without companions of it that this server never uses.

Libraries try whether an optional module is installed, and keep it loaded where it is.
Some of these weigh more than the library itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def without(*names: str) -> Iterator[None]:
    """Let whoever imports one of these modules meanwhile find that there is none.

    What is loaded already stays, and afterwards all can be imported as ever. For the
    time of start-up: it counts for every thread.
    """
    modules: dict[str, Any] = sys.modules
    hidden = [name for name in names if name not in modules]
    modules.update(dict.fromkeys(hidden))  # None: Python's word for "not to be found"
    try:
        yield
    finally:
        for name in hidden:
            del modules[name]
