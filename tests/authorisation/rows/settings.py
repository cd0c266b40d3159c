"""Secrets and settings; the columns are told in ``model.py``."""

from tests.authorisation.model import Row
from tests.authorisation.objects import provider_key, secret

SETTINGS = "api/settings"
SECRETS = "api/settings/secrets"
SECRET = "api/settings/secrets/<key>"
VALUE = {"value": "a value of the caller's"}
UNKNOWN = {"key": "KEY_OF_NOBODY"}

ROWS = [
    Row("GET", SETTINGS, provider_key, other=200, shows=False),
    Row("PUT", SETTINGS, body={"secrets": {}}, other=200, shows=False),
    Row("GET", SECRETS, secret, other=200),
    Row("GET", SECRET, secret, unlike=UNKNOWN),
    Row("GET", SECRET, secret, query="?decrypt=true", unlike=UNKNOWN),
    # Everybody has their own under a registered name, and nobody under another.
    Row("PUT", SECRET, provider_key, VALUE, other=200, makes_unknown=True),
    Row("DELETE", SECRET, secret, shows=False, unlike=UNKNOWN),
]
