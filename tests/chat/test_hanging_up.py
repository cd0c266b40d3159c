"""Who leaves, or needs no more, ends the call to the provider."""

import asyncio
import os

import pytest

from nodetool_site.lib.lifecycle import stopping
from storage.models import User
from tests.jobs.http_client import HttpUser
from tests.providers.vendor import events, silence, stream, vendor
from workflows.providers import registry
from workflows.providers.base import ProviderError
from workflows.providers.http_client import close_shared
from workflows.providers.messages import Chunk

ASKED = {"model": "fake/x", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"
ABORTS = int(os.environ.get("CHAT_ABORTS", "100"))
AT_ONCE = 20


class Endless:
    """Speaks for ever after ``silence_s``; counts its calls that are open.

    ``first`` comes before the silence.
    """

    def __init__(self, silence_s=0.0, first=""):
        self.silence_s = silence_s
        self.first = first
        self.is_open = 0
        self.said = 0

    async def stream(self, request):
        self.is_open += 1
        try:
            if self.first:
                yield Chunk(text=self.first)
            await asyncio.sleep(self.silence_s)
            while True:
                self.said += 1
                yield Chunk(text="tick ")
                await asyncio.sleep(0.001)
        finally:
            self.is_open -= 1

    async def closed(self):
        await until(lambda: not self.is_open)

    async def opened(self):
        await until(lambda: self.is_open)


async def until(claim):
    for _ in range(400):
        if claim():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("not within two seconds")


@pytest.fixture
def _caller(transactional_db):
    User.objects.create(id="1", username="1")


@pytest.fixture
def provide(monkeypatch, _caller):
    def use(provider):
        monkeypatch.setattr(registry, "make_provider", lambda *_, **__: provider)
        return provider

    return use


@pytest.mark.parametrize("choices", [1, 3])
async def test_e11_o7_leaving_a_stream_ends_the_calls(provide, choices):
    provider = provide(Endless())
    body = {**ASKED, "stream": True, "n": choices}

    async with HttpUser().open("POST", PATH, body) as exchange:
        assert (await exchange.head())[0] == 200
        assert b"tick" in await exchange.piece()
        assert provider.is_open == choices
        await exchange.hang_up()

    await provider.closed()


@pytest.mark.parametrize("is_stream", [False, True])
async def test_e11_leaving_before_the_first_word_ends_the_call(provide, is_stream):
    provider = provide(Endless(silence_s=60))

    async with HttpUser().open("POST", PATH, {**ASKED, "stream": is_stream}) as one:
        await provider.opened()
        await one.hang_up()

    await provider.closed()


@pytest.mark.usefixtures("_caller")
async def test_e11_many_who_leave_leave_no_task_behind(settings):
    settings.PROVIDER_KEYS = {"OPENAI_API_KEY": "sk-fake"}
    first = events({"choices": [{"delta": {"content": "tick"}}]})

    async def leave(number):
        body = {**ASKED, "model": "openai/x", "stream": number % 3 > 0}
        if number % 3 == 1:
            body["n"] = 2
        async with HttpUser().open("POST", PATH, body) as exchange:
            if body["stream"]:
                assert b"tick" in await exchange.piece()
            else:
                await served.was_asked.wait()
            await exchange.hang_up()

    async with vendor(stream(first, then=silence)) as served:
        settings.PROVIDER_BASE_URLS = {"OPENAI_BASE_URL": served.url}
        before = asyncio.all_tasks()
        for _ in range(0, ABORTS, AT_ONCE):
            await asyncio.gather(*map(leave, range(AT_ONCE)))
        # Those of the model server too: each ends with its connection.
        await until(lambda: asyncio.all_tasks() <= before)
        assert served.connections >= ABORTS
    await close_shared()


async def test_f12_a_reader_that_does_not_read_stops_the_provider(provide):
    provider = provide(Endless())

    async with HttpUser().open("POST", PATH, {**ASKED, "stream": True}) as exchange:
        await exchange.head()
        before = -1
        async with asyncio.timeout(30):
            while provider.said != before:
                before = provider.said
                await asyncio.sleep(0.3)  # some three hundred words
        await exchange.hang_up()


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_stop_string_ends_the_call(provide, is_stream):
    provider = provide(Endless())
    body = {**ASKED, "stop": "k t", "stream": is_stream}

    answer = await HttpUser().post(PATH, body)

    assert answer.status == 200
    assert b"tic" in answer.body
    await provider.closed()


@pytest.mark.parametrize("is_stream", [False, True])
async def test_f12_a_failure_behind_a_stop_string_is_nobodys_loss(provide, is_stream):
    class Failing:
        async def stream(self, request):
            yield Chunk(text="all of it END and more")
            raise ProviderError("broke off")

    provide(Failing())

    answer = await HttpUser().post(PATH, {**ASKED, "stop": "END", "stream": is_stream})

    assert answer.status == 200
    assert b'"content":"all of it "' in answer.body
    assert b"error" not in answer.body


async def test_f12_an_endless_answer_is_not_gathered(provide, monkeypatch):
    monkeypatch.setattr("chat.openai_api.answers.MAX_CHARACTERS", 100)
    provider = provide(Endless())

    answer = await HttpUser().post(PATH, ASKED)

    assert (answer.status, answer.json["error"]["code"]) == (502, "provider_error")
    await provider.closed()


async def test_a_stream_of_nothing_still_ends(provide):
    class Mute:
        async def stream(self, request):
            for chunk in ():
                yield chunk

    provide(Mute())

    answer = await HttpUser().post(PATH, {**ASKED, "stream": True})

    assert answer.status == 200
    assert b'"finish_reason":"stop"' in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_c02_a_bug_in_the_stream_is_told_and_ends_it(provide, caplog):
    class Buggy:
        async def stream(self, request):
            yield Chunk(text="a")
            raise ZeroDivisionError

    provide(Buggy())

    answer = await HttpUser().post(PATH, {**ASKED, "stream": True})

    assert b'"code":"internal_error"' in answer.body
    assert answer.body.endswith(b"data: [DONE]\n\n")
    assert "ZeroDivisionError" in caplog.text


async def test_c02_a_server_that_stops_ends_its_streams_in_words(provide, monkeypatch):
    monkeypatch.setattr("chat.openai_api.event_stream.GRACE_S", 0.05)
    provider = provide(Endless())

    async with HttpUser().open("POST", PATH, {**ASKED, "stream": True}) as exchange:
        await exchange.piece()
        stopping.set()
        try:
            rest = await exchange.rest()
        finally:
            stopping.clear()

    assert b'"code":"service_unavailable"' in rest
    assert rest.endswith(b"data: [DONE]\n\n")
    await provider.closed()


async def test_z07_the_end_of_a_token_ends_its_stream(provide, monkeypatch):
    opened = []

    def open_lease(identity, on_end):
        opened.append(on_end)

    monkeypatch.setattr("chat.openai_api.event_stream.leases.open", open_lease)
    monkeypatch.setattr("chat.openai_api.event_stream.leases.close", lambda lease: None)
    provider = provide(Endless())

    async with HttpUser().open("POST", PATH, {**ASKED, "stream": True}) as exchange:
        await exchange.piece()
        opened[0]()
        rest = await exchange.rest()

    assert b"invalid_api_key" in rest
    assert rest.endswith(b"data: [DONE]\n\n")
    await provider.closed()
