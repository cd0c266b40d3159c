"""A stand-in for a model server in the test's own process, and a server before it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.bench.fake_openai import serve_connection


def settings_for(url: str) -> dict[str, str]:
    """Environment of a server whose provider ``openai`` is at this address.

    The models have names like those of the product's own fake, so that is off.
    """
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": "sk-fake",
        "CHAT_PROVIDER": "openai",
        "NODETOOL_ENABLE_FAKE_PROVIDER": "0",
    }


@asynccontextmanager
async def model_server() -> AsyncIterator[str]:
    """The address of a model server; see ``tests.bench.fake_openai``."""
    server = await asyncio.start_server(serve_connection, "127.0.0.1", 0, backlog=1024)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()
