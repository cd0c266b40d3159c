"""What a stopping server leaves behind at its providers."""

import asyncio

from nodetool_site.lib import lifecycle
from tests.providers import recorded
from tests.providers.calling import answer, provider
from tests.providers.vendor import stream, vendor


async def test_a_stopping_server_closes_its_connections_to_providers():
    async with vendor(stream(recorded.OPENAI.content)) as served:
        await answer(provider("openai", served.url))
        assert not served.left.is_set()

        for hook in lifecycle._stop_hooks:
            if hook.__module__ == "chat.apps":
                await hook()

        await asyncio.wait_for(served.left.wait(), 10)
