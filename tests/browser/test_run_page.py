"""The page of a desktop server: a run from its form to its last event."""

import pytest

from tests.browser.cut import open_road
from tests.browser.run_page import RunPage

pytestmark = [pytest.mark.browser, pytest.mark.embedded]

MARKUP = "<img src=x onerror=alert(1)> & <b>bold</b>"


async def last_number(api, job_id: str) -> int:
    """The number of a job's last event, which is its terminal one."""
    events = (await api.get(f"/api/jobs/{job_id}/events?limit=500")).json["events"]
    assert events[-1]["type"] == "job_update"
    assert events[-1]["status"] in ("completed", "failed", "cancelled")
    return events[-1]["job_seq"]


async def start_elsewhere(api, workflow_id: str, **params) -> str:
    body = {"params": params, "background": True}
    answer = await api.post(f"/api/workflows/{workflow_id}/run", body)
    assert answer.status == 202, answer.content
    return answer.json["job_id"]


async def test_form_is_filled_and_the_output_arrives(page, api):
    await page.open()
    await page.wait_for_text("#lists", "Streaming text")
    job_id = await page.start("hello", name="Ada")
    await page.wait_for_status("completed")

    assert await page.outputs() == {"greeting": ["Hello, Ada"]}
    assert await page.run("document.getElementById('progress').value") == 1
    job = (await api.get(f"/api/jobs/{job_id}")).json
    assert (job["status"], job["params"]) == ("completed", {"name": "Ada"})
    expected = list(range(1, await last_number(api, job_id) + 1))
    assert await page.events() == expected


async def test_streamed_text_grows_while_the_run_goes_on(page):
    text = "word " * 30
    await page.start("streaming-text", text=text.strip())

    await page.wait_for_text("#nodes", "word word")
    partial = await page.text("#nodes pre")
    assert await page.text("#status") == "running"
    await page.wait_for_status("completed")

    assert 0 < len(partial) < len(text.strip())
    assert (await page.outputs())["text"] == [text.strip()]


async def test_progress_is_shown(page):
    await page.start("slow-job", steps="20")
    await page.wait_for_text("#nodes", "3 of 20")

    value = await page.run("document.getElementById('progress').value")

    assert 0 < value < 1
    await page.click("#cancel")
    await page.wait_for_status("cancelled")


async def test_reload_in_mid_run_shows_the_same_run_whole(page, api):
    job_id = await page.start("slow-job", steps="15")
    await page.wait_for_text("#nodes", "3 of 15")

    await page.window.reload()

    assert await page.job_id() == job_id
    await page.wait_for_status("running")
    await page.wait_for_status("completed")
    last = await last_number(api, job_id)
    assert await page.events() == list(range(1, last + 1))
    assert await page.text("#nodes .what") == "15 of 15"
    assert await page.run("document.getElementById('input-steps').value") == "15"


async def test_finished_run_is_shown_whole_after_a_reload(page):
    await page.start("fan-out", text="Two Words")
    await page.wait_for_status("completed")
    before = await page.outputs()

    await page.window.reload()
    await page.wait_for_status("completed")

    assert before == {"upper": ["TWO WORDS"], "lower": ["two words"], "words": ["2"]}
    assert await page.outputs() == before


async def test_job_started_elsewhere_is_shown_by_its_id(page, api):
    job_id = await start_elsewhere(api, "slow-job", steps=10)

    await page.open(job=job_id)

    await page.wait_for_text("#workflow-name", "Slow job")
    await page.wait_for_status("completed")
    last = await last_number(api, job_id)
    assert await page.events() == list(range(1, last + 1))


async def test_dropped_connection_is_taken_up_where_it_broke(server, window, api):
    async with open_road(server.port) as road:
        page = RunPage(window, f"http://127.0.0.1:{road.port}")
        job_id = await page.start("slow-job", steps="20")
        await page.wait_for_text("#nodes", "2 of 20")

        road.cut()
        await page.wait_for_text("#connection", "Connection lost")
        await window.wait_for("document.getElementById('cancel').disabled")
        before = road.journeys
        road.mend()

        await page.wait_for_status("completed")
        last = await last_number(api, job_id)
        assert await page.events() == list(range(1, last + 1))
        assert road.journeys > before
    window.complaints[:] = [c for c in window.complaints if "WebSocket" not in c]


async def test_run_is_paused_resumed_and_cancelled(page):
    await page.start("slow-job", steps="200")
    await page.wait_for_text("#nodes", "2 of 200")

    await page.click("#pause")
    await page.wait_for_status("suspended")
    await page.click("#resume")
    await page.wait_for_status("running")
    await page.click("#cancel")
    await page.wait_for_status("cancelled")

    assert await page.text("#error") == "Job cancelled by user"
    buttons = "[...document.querySelectorAll('#run .actions button')]"
    assert not await page.run(f"{buttons}.some((b) => b.checkVisibility())")


async def test_failed_run_shows_its_error_and_what_else_came(page):
    await page.start("failing-node", text="still here")
    await page.wait_for_status("failed")

    assert "This node fails on purpose" in await page.text("#error")
    assert await page.outputs() == {"upper": ["STILL HERE"]}


async def test_items_are_streamed_into_a_running_input(page):
    await page.start("stream-input-echo")
    for text in ("first ", "second"):
        await page.window.fill("#stream-value", text)
        await page.click("#stream button[type=submit]")
        await page.wait_for_text("#outputs", text.strip())

    await page.click("#stream-end")
    await page.wait_for_status("completed")

    assert "".join((await page.outputs())["echo"]) == "first second"


async def test_nothing_that_a_workflow_says_becomes_markup(page):
    await page.start("hello", name=MARKUP)
    await page.wait_for_status("completed")

    assert await page.outputs() == {"greeting": [f"Hello, {MARKUP}"]}
    await page.events()
    assert await page.run("document.querySelectorAll('#run img, #run b').length") == 0


async def test_unknown_job_is_said_to_be_unknown(page):
    await page.open(job="no-such-job")
    await page.wait_for_status("failed")

    assert "Job not found" in await page.text("#error")
    assert "/api/jobs/no-such-job" in page.window.complaints.pop()


async def test_back_leads_to_the_run_before(page):
    first = await page.start("hello", name="One")
    await page.wait_for_status("completed")
    await page.run("document.getElementById('input-name').value = 'Two'")
    await page.click("#inputs button")
    await page.wait_for_text("#outputs", "Hello, Two")

    await page.run("history.back()")

    await page.wait_for_text("#outputs", "Hello, One")
    assert await page.job_id() == first
