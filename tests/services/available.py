"""What the running tests can reach, as found by ``tests.services`` or by looking."""

import functools
import json
import os

from tests.services.resolve import SERVICES, find


@functools.cache
def missing_services() -> dict[str, str]:
    """Name and cure of each service that this run does without."""
    found = os.environ.get("TEST_MISSING_SERVICES")
    if found is not None:
        missing: dict[str, str] = json.loads(found)
        return missing
    return {s.name: s.cure for s in SERVICES if service_url_or_none(s.name) is None}


@functools.cache
def service_url_or_none(name: str) -> str | None:
    service = next(service for service in SERVICES if service.name == name)
    if "TEST_MISSING_SERVICES" in os.environ:
        return os.environ.get(service.variable)
    return find(service, os.environ)


def service_url(name: str) -> str:
    """The URL of an account that may create databases, or of the broker.

    Raises:
        LookupError: it is missing; tests that need it carry the marker that says so.
    """
    url = service_url_or_none(name)
    if url is None:
        raise LookupError(f"{name} is missing: {missing_services().get(name)}")
    return url
