"""Chunks on their way from a provider to whoever reads them."""

import asyncio

from chat.openai_api.generation import WAITING_CHARACTERS, WAITING_CHUNKS, Generation
from workflows.providers.messages import ChatRequest, Chunk

REQUEST = ChatRequest(model="x", messages=())


async def some(count):
    for number in range(count):
        yield Chunk(text=str(number))


async def test_what_has_come_is_handed_over_in_order_and_at_once():
    generation = Generation([some(5)], REQUEST)

    items = await generation.next()

    assert [item and item.text for _, item in items] == ["0", "1", "2", "3", "4", None]


async def test_f12_a_call_waits_for_its_reader_and_goes_on():
    count = 3 * WAITING_CHUNKS
    generation = Generation([some(count), some(count)], REQUEST)
    said = {0: [], 1: []}

    while any(None not in items for items in said.values()):
        await asyncio.sleep(0)
        items = await generation.next()
        assert len(items) < WAITING_CHUNKS + len(said)
        for call, item in items:
            said[call.index].append(item and item.text)

    wanted = [*(str(number) for number in range(count)), None]
    assert said == {0: wanted, 1: wanted}


async def test_f12_large_chunks_wait_for_their_reader_too():
    asked = []

    async def large():
        for number in range(20):
            asked.append(number)
            yield Chunk(reasoning="x" * (WAITING_CHARACTERS // 2))

    generation = Generation([large()], REQUEST)
    sizes = [len(await generation.next()) for _ in range(3)]

    assert sizes == [2, 2, 2]
    assert len(asked) <= 8
    generation.close()


async def test_nothing_comes_of_a_silent_call_in_time_and_it_goes_on():
    speaks = asyncio.Event()

    async def slow():
        await speaks.wait()
        yield Chunk(text="at last")

    generation = Generation([slow()], REQUEST)

    assert await generation.next(0.01) == []
    speaks.set()
    assert (await generation.next(5))[0][1].text == "at last"


async def test_a_failure_from_outside_comes_behind_what_was_said():
    generation = Generation([some(WAITING_CHUNKS * 2)], REQUEST)
    await asyncio.sleep(0)

    generation.fail(TimeoutError("too late"))
    items = await generation.next()

    assert [item.text for _, item in items[:-1]] == list(
        map(str, range(WAITING_CHUNKS))
    )
    assert isinstance(items[-1][1], TimeoutError)
