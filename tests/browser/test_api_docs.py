"""The page that shows the API, in a real browser: drawn, and nothing from elsewhere."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.embedded]


async def test_page_shows_the_operations(server, window):
    await window.open(f"{server.base_url}/api/docs/")
    await window.wait_for("document.querySelectorAll('.opblock').length > 20")

    text = await window.text("#docs")
    assert "NodeTool server" in text
    assert "/api/workflows/{workflow_id}/run" in text.replace("\u200b", "")
