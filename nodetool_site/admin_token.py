"""The second key of the admin pages in production, beside the sign-in of a user."""

import hashlib
import hmac

from django.conf import settings
from django.http import HttpRequest

from nodetool_site.auth import TooManyFailures
from nodetool_site.lib import surfaces
from nodetool_site.lib.errors import Forbidden
from storage.failed_attempts import address_of, failed_attempts

HEADER = "HTTP_X_ADMIN_TOKEN"


class MissingAdminToken(Forbidden):
    """The header is not there."""

    default_message = "Admin token required. Use X-Admin-Token header."


class InvalidAdminToken(Forbidden):
    """It holds something else; or no token is configured, and nothing fits."""

    default_message = "Invalid admin token."


def check_admin_token(request: HttpRequest) -> None:
    """Let a request for an admin page pass, or refuse it. Others always pass.

    Raises:
        MissingAdminToken: there is no header.
        InvalidAdminToken: it is not ``ADMIN_TOKEN``; counted against the address.
        TooManyFailures: this address has failed too often.
    """
    if not (settings.IS_PRODUCTION and surfaces.is_admin(request.path_info)):
        return
    given = request.META.get(HEADER, "")
    if not given:
        raise MissingAdminToken
    address = address_of(request)
    wait = failed_attempts.retry_after_s(address, settings.AUTH_FAILURES_PER_MINUTE)
    if wait:
        raise TooManyFailures(wait)
    if not _is_admin_token(given):
        failed_attempts.record(address)
        raise InvalidAdminToken


def _is_admin_token(given: str) -> bool:
    """Compare in constant time; hashes, so that not even the length shows."""
    expected: str = settings.ADMIN_TOKEN
    pair = (given.encode("latin-1"), expected.encode())
    presented, wanted = (hashlib.sha256(text).digest() for text in pair)
    return hmac.compare_digest(presented, wanted) and bool(expected)
