"""A stub of Supabase, and settings that lead to it."""

from collections.abc import Iterator

import pytest

from storage import supabase
from storage.api_tokens import verified_tokens
from storage.failed_attempts import failed_attempts
from tests.supabase_stub import API_KEY, SECRET, StubSupabase


@pytest.fixture(scope="session")
def _stub() -> Iterator[StubSupabase]:
    stub = StubSupabase()
    yield stub
    stub.close()


@pytest.fixture
def stub(_stub) -> StubSupabase:
    """The project, as new."""
    _stub.requests.clear()
    _stub.revoked.clear()
    _stub.status, _stub.delay_s, _stub.body = 0, 0.0, None
    keys = list(_stub.keys)
    yield _stub
    _stub.keys = keys


@pytest.fixture
async def project(settings, stub, transactional_db):
    """Point the settings at the stub: ``project(secret=True, key_set=True)``."""
    settings.AUTH_PROVIDER = "supabase"
    settings.SERVER_AUTH_TOKEN = "a-static-token-of-enough-characters"
    settings.SUPABASE_URL = stub.url
    settings.SUPABASE_KEY = API_KEY
    made = []

    def point(*, secret: bool = False, key_set: bool = False) -> StubSupabase:
        settings.SUPABASE_JWT_SECRET = SECRET if secret else ""
        settings.SUPABASE_JWKS = key_set
        supabase._project.cache_clear()
        verified_tokens.clear()
        failed_attempts.clear()
        made.append(supabase.current())
        return stub

    yield point
    for one in made:
        await one.http.close()
    supabase._project.cache_clear()
    failed_attempts.clear()
