"""What a process does before it serves."""

import pytest

from nodetool_site.lib import redaction
from nodetool_site.lib.known_values import KnownValues
from storage.start_up import hide_configured

VALUE = "of-no-shape-0123456789"


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch, settings, tmp_path):
    monkeypatch.setattr(redaction, "known", KnownValues())
    settings.DATA_FOLDER = tmp_path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVER_AUTH_TOKEN", f"another-token-here,{VALUE}"),
        ("SECRETS_MASTER_KEY", VALUE),
        ("ADMIN_TOKEN", VALUE),
        ("SUPABASE_JWT_SECRET", VALUE),
        ("S3_ACCESS_KEY_ID", VALUE),
        ("PROVIDER_KEYS", {"OPENAI_API_KEY": VALUE}),
        ("CELERY_BROKER_URL", f"amqp://user:{VALUE}@127.0.0.1/"),
        ("CHANNEL_LAYER_URL", f"redis://:{VALUE.replace('0', '%30')}@127.0.0.1"),
    ],
)
def test_s02_what_is_configured_is_hidden(settings, name, value):
    setattr(settings, name, value)

    hide_configured()

    assert redaction.redact(f"it is {VALUE}!") == "it is ***!"


@pytest.mark.parametrize("name", ["server_auth_token", "secrets_master_key"])
def test_s02_what_was_made_is_hidden(settings, name):
    (settings.DATA_FOLDER / name).write_text(f"{VALUE}\n")

    hide_configured()

    assert redaction.redact(f"it is {VALUE}!") == "it is ***!"


def test_broker_that_is_no_address_stops_nothing_here(settings):
    settings.CELERY_BROKER_URL = "redis://["

    hide_configured()
