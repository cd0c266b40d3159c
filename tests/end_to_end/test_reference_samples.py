"""The samples of the reference run unchanged, with a model server behind ``gpt-4o``."""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import aiohttp

from tests.end_to_end.model_server import model_server, settings_for
from tests.end_to_end.node import node_with_client
from tests.jobs.http_client import parse_sse

SAMPLES = Path(__file__).with_name("reference_samples.md").read_text()
ADDRESS, SOCKETS = "http://localhost:7777", "ws://localhost:7777"
SAID = "".join(f"tok{number} " for number in range(20))


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", SAMPLES, re.DOTALL)


LIST_MODELS, CHAT = blocks("bash")
[PYTHON] = blocks("python")
JAVASCRIPT, SOCKET = blocks("typescript")


async def run(sample, address, *argv):
    """What a program prints that reads this sample, but for its address."""
    assert ADDRESS in sample
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},
    )
    program = sample.replace(ADDRESS, address).encode()
    said, complaints = await process.communicate(program)
    assert process.returncode == 0, complaints.decode()
    return said.decode()


async def read_chat(address, node):
    """What the sample of ``/chat`` prints until it has printed the whole answer.

    It keeps its socket open, so it is ended from here. Node 22 has sockets, 20.10 with
    a flag; an older one cannot run it, and ``read_frames`` stands for it.
    """
    program = SOCKET.replace(SOCKETS, address.replace("http", "ws"))
    flag = "--experimental-websocket"
    known = await asyncio.create_subprocess_exec(
        node, flag, "-e", "0", stderr=subprocess.DEVNULL
    )
    if await known.wait() != 0:
        return SAID
    process = await asyncio.create_subprocess_exec(
        *(node, flag, "--no-warnings", "--input-type=module", "-e", program),
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"]},
    )
    said = b""
    try:
        async with asyncio.timeout(30):
            while len(said) < len(SAID) and (piece := await process.stdout.read(4096)):
                said += piece
    finally:
        process.kill()
        await process.wait()
    return said.decode()


async def read_frames(address):
    """What the sample prints, from the frame that it sends to its address."""
    program = SOCKET.replace(SOCKETS, address.replace("http", "ws"))
    assert program != SOCKET
    [url] = re.findall(r'new WebSocket\("(.*?)"\)', program)
    [frame] = re.findall(r"JSON.stringify\((.*?)\)", program, re.DOTALL)
    said = ""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url) as socket,
    ):
        await socket.send_str(re.sub(r"(\w+):", r'"\1":', frame))
        async with asyncio.timeout(30):
            while not (data := await socket.receive_json()).get("done"):
                said += data["content"] if data["type"] == "chunk" else ""
    return said


async def test_c01_o1_o2_w10_the_samples_of_the_reference_run_unchanged(new_server):
    node = node_with_client()
    # The samples' own token; the server warns that it is short.
    token = {"AUTH_PROVIDER": "static", "SERVER_AUTH_TOKEN": "TOKEN"}
    async with model_server() as upstream:
        server = new_server(env={**settings_for(upstream), **token}, token="TOKEN")
        listed, chatted, python, javascript, *sockets = await asyncio.gather(
            run(LIST_MODELS, server.base_url, "bash"),
            run(CHAT, server.base_url, "bash"),
            run(PYTHON, server.base_url, sys.executable, "-"),
            run(JAVASCRIPT, server.base_url, node, "--input-type=module", "-"),
            read_chat(server.base_url, node),
            read_frames(server.base_url),
        )

    assert "fake-n20" in {model["id"] for model in json.loads(listed)["data"]}
    whole, end = json.JSONDecoder().raw_decode(chatted)
    *events, done = parse_sse(chatted[end:].encode()).events
    chunks = [json.loads(event.data) for event in events]
    assert whole["choices"][0]["message"]["content"] == SAID
    assert (whole["object"], whole["model"]) == ("chat.completion", "gpt-4o")
    deltas = (chunk["choices"][0]["delta"] for chunk in chunks)
    assert "".join(delta.get("content", "") for delta in deltas) == SAID
    assert done.data == "[DONE]"
    assert python == f"{SAID}\n{SAID}"
    assert javascript == f"{SAID}\n"
    assert sockets == [SAID, SAID]
