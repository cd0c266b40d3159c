"""What a request for vectors may say, and how large answers leave."""

import asyncio
import json

import pytest

from chat.openai_api import embeddings
from chat.openai_api.embeddings import MAX_INPUTS, read_embeddings
from chat.openai_api.errors import InvalidField
from storage.models import User
from tests.chat.test_hanging_up import until
from tests.jobs.http_client import HttpUser
from workflows.providers import registry
from workflows.providers.messages import Embeddings, Usage

PATH = "/v1/embeddings"


def read(**fields):
    return read_embeddings({"model": "m", "input": "hi", **fields})


@pytest.mark.parametrize(
    ("value", "inputs"),
    [
        ("hi", ("hi",)),
        (["a", "b"], ("a", "b")),
        ([1, 2, 3], ((1, 2, 3),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
        (["x"] * MAX_INPUTS, ("x",) * MAX_INPUTS),
    ],
)
def test_an_input_is_texts_or_tokens(value, inputs):
    assert read(input=value).request.inputs == inputs


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": {}}, "input"),
        ({"input": 7}, "input"),
        ({"input": [""]}, "input[0]"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": ["a", 1]}, "input"),
        ({"input": ["a", [1]]}, "input"),
        ({"input": [[]]}, "input[0]"),
        ({"input": [-1]}, "input[0]"),
        ({"input": [True]}, "input[0]"),
        ({"input": [1.5]}, "input[0]"),
        ({"input": [[1], ["a"]]}, "input[1]"),
        ({"input": "\ud800"}, "input"),
        ({"input": ["x"] * (MAX_INPUTS + 1)}, "input"),
        ({"model": None}, "model"),
        ({"model": " "}, "model"),
        ({"model": 7}, "model"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": 1.5}, "dimensions"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"user": 7}, "user"),
        ({"provider": 7}, "provider"),
    ],
)
def test_a_refusal_names_its_field(fields, param):
    with pytest.raises(InvalidField) as caught:
        read(**fields)

    assert caught.value.param == param


def test_what_is_not_known_is_passed_over():
    wanted = read(dimensions=5, user="u", provider="fake", made_up=1)

    assert (wanted.request.dimensions, wanted.request.user) == (5, "u")
    assert (wanted.provider, wanted.is_packed) == ("fake", False)


@pytest.fixture
def user(transactional_db):
    User.objects.create(id="1", username="1")


async def asked(body):
    async with HttpUser().open("POST", PATH, body) as exchange:
        status, headers = await exchange.head()
        return status, headers, await exchange.rest()


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_a_large_answer_says_the_same_in_pieces(user, monkeypatch, encoding):
    body = {
        "model": "fake/embedding",
        "input": [f"text {n}" for n in range(64)],
        "encoding_format": encoding,
    }
    _, whole_headers, whole = await asked(body)
    monkeypatch.setattr(embeddings, "WHOLE_NUMBERS", 10)

    status, headers, cut = await asked(body)

    assert (status, cut) == (200, whole)
    assert headers["content-type"] == "application/json"
    assert len(json.loads(cut)["data"]) == 64
    assert ("content-length" in whole_headers, "content-length" in headers) == (
        True,
        False,
    )


class Slow:
    """Answers when it is told to; counts its calls that are open."""

    def __init__(self):
        self.is_open = 0

    async def embed(self, request):
        self.is_open += 1
        try:
            await asyncio.sleep(60)
        finally:
            self.is_open -= 1
        return Embeddings([], Usage())


async def test_e11_leaving_ends_the_call(user, monkeypatch):
    provider = Slow()
    monkeypatch.setattr(registry, "make_provider", lambda *_, **__: provider)

    async with HttpUser().open("POST", PATH, {"model": "fake/x", "input": "a"}) as one:
        await until(lambda: provider.is_open)
        await one.hang_up()

    await until(lambda: not provider.is_open)
