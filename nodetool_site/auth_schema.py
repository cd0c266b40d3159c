"""How the API's schema speaks of ``BearerAuthentication``.

Apart from ``auth``, because drf-spectacular takes its time to import. Importing this
module is enough: extensions register themselves.
"""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A bearer token in the ``Authorization`` header."""

    target_class = "nodetool_site.auth.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the OpenAPI security scheme."""
        return {"type": "http", "scheme": "bearer"}
