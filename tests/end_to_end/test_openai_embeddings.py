"""Vectors by the official client of OpenAI, against a running server in both modes."""

import base64
import json
import math
import struct

import openai
import pytest

from tests.end_to_end.test_openai_client import client_of

MODEL = "fake/embedding"
TEXTS = ["the black cat", "the black dog", "nine ships sailed"]


@pytest.fixture
def client(server):
    """As it is by default: it asks for packed vectors, and unpacks them."""
    with openai.OpenAI(
        base_url=f"{server.base_url}/v1", api_key="any", max_retries=0
    ) as client:
        yield client


@pytest.fixture
def strict(server):
    """Refuses answers that are not to the letter; cannot do so with packed vectors."""
    with client_of(server) as client:
        yield client


def numbers(answer):
    return [entry.embedding for entry in answer.data]


def closeness(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_vectors_are_those_of_the_texts(client):
    answer = client.embeddings.create(model=MODEL, input=TEXTS)

    cat, dog, ships = numbers(answer)
    assert [entry.index for entry in answer.data] == [0, 1, 2]
    assert all(math.isclose(math.hypot(*v), 1, abs_tol=1e-6) for v in (cat, dog, ships))
    assert closeness(cat, dog) > closeness(cat, ships) + 0.5
    assert (answer.object, answer.model) == ("list", MODEL)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 13


def test_packed_vectors_are_the_same_numbers(client, strict):
    plain = strict.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
    [packed, *_] = client.embeddings.with_raw_response.create(
        model=MODEL, input=TEXTS, encoding_format="base64"
    ).http_response.json()["data"]

    found = struct.unpack("<256f", base64.b64decode(packed["embedding"]))
    assert numbers(plain)[0] == pytest.approx(found, abs=1e-7)


def test_a_text_alone_has_a_vector_of_the_wanted_length(client):
    answer = client.embeddings.create(model=MODEL, input="hello", dimensions=8)

    assert [len(vector) for vector in numbers(answer)] == [8]


def test_as_many_texts_as_openai_takes(client):
    answer = client.embeddings.create(
        model=MODEL, input=[f"text {n % 7}" for n in range(2_048)]
    )

    vectors = numbers(answer)
    assert len(vectors) == 2_048
    assert vectors[0] == vectors[7] != vectors[1]


def failing(**error):
    return {"model": "fake/scripted", "input": json.dumps({"error": error})}


@pytest.mark.parametrize(
    ("asked", "kind", "code", "param"),
    [
        ({"input": []}, openai.BadRequestError, None, "input"),
        ({"input": ["x"] * 2_049}, openai.BadRequestError, None, "input"),
        ({"input": [1, 2]}, openai.BadRequestError, "unsupported_value", "input"),
        ({"dimensions": 0}, openai.BadRequestError, None, "dimensions"),
        ({"model": "foo"}, openai.NotFoundError, "model_not_found", "model"),
        ({"model": "fake/echo"}, openai.NotFoundError, "model_not_found", "model"),
        (
            {"model": "text-embedding-3-small"},
            openai.BadRequestError,
            "provider_not_configured",
            "model",
        ),
        (failing(status=400, code="c"), openai.BadRequestError, "c", None),
        (failing(status=401), openai.InternalServerError, "provider_auth_error", None),
        (failing(status=429), openai.RateLimitError, "rate_limit_exceeded", None),
        (failing(status=503), openai.InternalServerError, "provider_unavailable", None),
        (failing(status=504), openai.InternalServerError, "timeout", None),
    ],
)
def test_c01_o4_errors_have_their_classes(client, asked, kind, code, param):
    with pytest.raises(kind) as raised:
        client.embeddings.create(**{"model": MODEL, "input": "hi", **asked})

    assert (raised.value.code, raised.value.param) == (code, param)
    assert raised.value.type
