"""The admin in a real browser: signing in, and a run from its list to its events."""

import re

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.embedded]


@pytest.fixture
def password(server) -> str:
    """What the first start has printed."""
    return re.search(r"password (\S+) \(shown only now\)", server.web.log())[1]


async def test_first_password_leads_to_a_runs_events(page, server, window, password):
    job_id = await page.start("hello", name="Admin")
    await page.wait_for_status("completed")

    await window.open(f"{server.base_url}/admin/jobs/job/")
    await window.fill("#id_username", "admin")
    await window.fill("#id_password", password)
    await window.click("[type=submit]")
    await window.wait_for("document.querySelector('#result_list')")
    await window.open(f"{server.base_url}/admin/jobs/job/{job_id}/change/")
    await window.click("a[href$='/events/']")
    await window.wait_for("document.querySelector('.job-events tbody')")

    rows = "[...document.querySelectorAll('.job-events tbody tr')]"
    numbers = await window.run(f"{rows}.map((row) => +row.cells[0].innerText)")
    assert numbers == list(range(1, len(numbers) + 1))
    assert "Hello, Admin" in await window.text(".job-events")
    colour = "getComputedStyle(document.querySelector('#header')).backgroundColor"
    assert await window.run(colour) != "rgba(0, 0, 0, 0)"
    window.complaints[:] = [c for c in window.complaints if "favicon" not in c]
