"""Clients that do not read cost the server a page, and miss nothing (E-06)."""

import asyncio

from tests.end_to_end import graphs
from tests.end_to_end.client import ApiClient
from tests.end_to_end.graphs import node, output

MIB = 1024 * 1024
PIECE = 64 * 1024
PIECES = 3200


def flood() -> graphs.Graph:
    """200 MiB of chunks."""
    return {
        "nodes": [
            node(
                "flood",
                "demo.StreamText",
                text="x" * PIECE,
                chunk_size=PIECE,
                repeat=PIECES,
            ),
            output("text"),
        ],
        "edges": [],
    }


async def run_without_reading(
    client: ApiClient, graph: graphs.Graph, memory: list[int], rss
) -> str:
    """Start a job on a socket that stops reading; sample memory until it has ended."""
    async with client.session.ws_connect(
        f"{client.base_url}/ws", max_msg_size=0
    ) as connection:
        await connection.send_json({"command": "run_job", "data": {"graph": graph}})
        job_id = (await connection.receive_json())["job_id"]
        status = "running"
        while status in ("running", "scheduled"):
            await asyncio.sleep(0.1)
            memory.append(rss())
            status = (await client.job(job_id))["status"]
        assert status == "completed"
    return job_id


async def test_e06_200_mib_of_chunks_to_a_client_that_does_not_read(fresh_server):
    server = fresh_server
    async with ApiClient(server.base_url) as client:
        async with client.socket() as socket:
            await socket.run(graph=graphs.sequence(5000))
        before = server.rss_bytes()
        memory: list[int] = []

        job_id = await run_without_reading(client, flood(), memory, server.rss_bytes)

        assert max(memory) - before < 16 * MIB
        async with client.socket() as socket:
            await socket.reconnect(job_id)
            total = 0
            while not socket.checkers[job_id].is_over:
                await socket.receive()
                total += sum(
                    len(event["content"])
                    for event in socket.events[job_id]
                    if event["type"] == "chunk"
                )
                socket.events[job_id].clear()
        assert total == PIECE * PIECES


async def test_e06_400000_items_run_in_bounded_memory_and_spill(fresh_server):
    """Their list goes to an asset; whoever reads the result gets it whole."""
    server = fresh_server
    count = 400_000
    async with ApiClient(server.base_url) as client:
        async with client.socket() as socket:
            await socket.run(graph=graphs.sequence(5000))
        before = server.rss_bytes()
        memory: list[int] = []

        job_id = await run_without_reading(
            client, graphs.sequence(count), memory, server.rss_bytes
        )

        assert max(memory) - before < 16 * MIB
        job = await client.job(job_id)
        assert job["result"]["outputs"]["numbers"] == list(range(count))
        async with client.socket() as socket:
            await socket.reconnect(job_id, last_seq=count)
            events = await socket.until_end(job_id)
        assert events[-1]["status"] == "completed"
