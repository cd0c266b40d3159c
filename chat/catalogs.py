"""What the providers offer, asked at most once a minute.

A list is remembered by provider, address and key, so callers with the same key share
it. One slow provider holds up nobody for longer than ``PATIENCE_S``: its list is then
left out until it is there.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nodetool_site.lib.redaction import redact

if TYPE_CHECKING:
    from chat.providers import Access
    from workflows.providers.messages import ModelInfo

logger = logging.getLogger(__name__)

FRESH_S = 60.0
RETRY_S = 10.0
PATIENCE_S = 3.0
KEPT = 1_000


@dataclass(slots=True)
class Catalog:
    """The models of one provider, as it told them last.

    ``can_list``: it has lists, as far as is known. ``has_failed``: it did not tell them
    when it was asked last. ``is_absent``: nothing was there to be asked.
    """

    models: list[ModelInfo] = field(default_factory=list)
    ids: frozenset[str] = frozenset()
    can_list: bool = True
    is_known: bool = False
    has_failed: bool = False
    is_absent: bool = False
    due_at: float = 0.0
    asked_at: float = 0.0
    asking: asyncio.Task[None] | None = None

    def take(self, models: list[ModelInfo]) -> None:
        """Remember these models from now on."""
        self.models, self.ids = models, frozenset(model.id for model in models)


class Catalogs:
    """The lists that are remembered on one event loop."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, str], Catalog] = OrderedDict()

    async def get(
        self, accesses: Iterable[Access], *, may_be_old: bool = False
    ) -> dict[str, Catalog]:
        """Return the lists of these providers, by provider id.

        Those that are not there in time are left out, and those of a provider that has
        failed. ``may_be_old``: a list that was there once is good enough, whatever came
        of asking again; it is asked for anew meanwhile.
        """
        found = {access.spec.id: self._asked(access) for access in accesses}
        waiting = [
            (catalog.asking, catalog.asked_at)
            for catalog in found.values()
            if catalog.asking and not (may_be_old and catalog.is_known)
        ]
        if waiting:
            until = max(asked_at for _, asked_at in waiting) + PATIENCE_S
            left = max(0.0, until - time.monotonic())
            await asyncio.wait([task for task, _ in waiting], timeout=left)
        return {
            name: catalog
            for name, catalog in found.items()
            if catalog.is_known and (may_be_old or not catalog.has_failed)
        }

    def has(self, access: Access, model: str) -> bool:
        """Tell whether this provider is known to offer a model, without waiting."""
        catalog = self._asked(access)
        return catalog.is_known and model in catalog.ids

    def may_offer_more(self, access: Access) -> bool:
        """Tell whether this provider may offer what none of its lists has named.

        So it is where it has no list, and where it is there and has not told it yet.
        """
        catalog = self._asked(access)
        is_waited_for = not (catalog.is_known or catalog.is_absent)
        return is_waited_for or not catalog.can_list

    def known(self, access: Access) -> list[ModelInfo]:
        """Return what is known of a provider's models, without waiting for more."""
        return self._asked(access).models

    def _asked(self, access: Access) -> Catalog:
        """Return what is remembered; ask anew where that is too old."""
        secret = hashlib.sha256((access.api_key or "").encode()).hexdigest()
        key = (access.spec.id, access.base_url, secret)
        catalog = self._kept.setdefault(key, Catalog())
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        if catalog.asking is None and time.monotonic() >= catalog.due_at:
            catalog.asked_at = time.monotonic()
            loop = asyncio.get_running_loop()
            catalog.asking = loop.create_task(_ask(access, catalog))
        return catalog


async def _ask(access: Access, catalog: Catalog) -> None:
    # Here, because most processes never speak to a provider.
    from workflows.providers.base import ProviderError

    wait_s, has_failed, is_absent = RETRY_S, True, False
    try:
        catalog.take(await access.connect().models())
        catalog.can_list = catalog.is_known = True
        wait_s, has_failed = FRESH_S, False
    except ProviderError as error:
        if error.status in (400, 404):  # it has no such route
            catalog.take([])
            catalog.can_list, catalog.is_known = False, True
            has_failed = False
        is_absent = error.status == 503 and error.vendor_status is None
        logger.info("models of %s: %s", access.spec.id, redact(error.message))
    except Exception:
        logger.exception("models of %s", access.spec.id)
    finally:
        catalog.has_failed, catalog.is_absent = has_failed, is_absent
        catalog.due_at = time.monotonic() + wait_s
        catalog.asking = None


_by_loop: dict[asyncio.AbstractEventLoop, Catalogs] = {}


def catalogs() -> Catalogs:
    """Return what the running loop remembers: that of the sockets, or of the jobs."""
    loop = asyncio.get_running_loop()
    found = _by_loop.get(loop)
    if found is None:
        for closed in [known for known in _by_loop if known.is_closed()]:
            del _by_loop[closed]
        found = _by_loop[loop] = Catalogs()
    return found
