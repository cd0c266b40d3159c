"""Signing in by name and password, against guessing."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from storage.failed_attempts import address_of, failed_attempts


class CountedFailures(AuthenticationForm):
    """Counts wrong passwords where wrong tokens count, and makes an address wait.

    A page that shows the form answers 429 if ``request.sign_in_wait_s`` is set.
    """

    def clean(self) -> dict[str, Any]:
        """Check name and password, unless the address has failed too often."""
        assert self.request is not None
        address = address_of(self.request)
        wait = failed_attempts.retry_after_s(address, settings.AUTH_FAILURES_PER_MINUTE)
        if wait:
            self.request.sign_in_wait_s = wait  # type: ignore[attr-defined]
            raise ValidationError(f"Too many failed attempts; wait {wait} seconds.")
        try:
            return super().clean()
        except ValidationError:
            failed_attempts.record(address)
            raise
