"""What the views of the OpenAI-compatible API share."""

from __future__ import annotations

from django.http import HttpResponse

from chat.openai_api.errors import error_response
from nodetool_site.lib.api import AsyncAPIView


class OpenAIView(AsyncAPIView):
    """A view whose errors have OpenAI's form."""

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        """Return the answer for any exception."""
        response = error_response(exc, data=getattr(self.request, "_full_data", None))
        if response.status_code == 405:
            response["Allow"] = ", ".join(self.allowed_methods)
        return response
