"""What the file store needs now and then; harmless if several processes do it."""

from __future__ import annotations

import logging

from storage.files import remove_stale_drafts
from storage.orphans import remove_orphans
from storage.quotas import recount_stored_bytes
from storage.services import delete_expired

logger = logging.getLogger(__name__)


def sweep() -> None:
    """Delete temporary data whose time is over."""
    while deleted := delete_expired():
        logger.info("%d temporary files are over and deleted", deleted)


def repair() -> None:
    """Remove what killed processes left; set counts right that somebody got wrong."""
    remove_stale_drafts()
    remove_orphans()
    if wrong := recount_stored_bytes():
        logger.warning("the stored bytes of %d users were counted again", wrong)
