"""Texts to vectors: what each wire is sent and answers, batches, what goes wrong."""

import base64
import math
import struct

import pytest

from tests.providers.calling import IDLE_S, KEY, SILENT_S, provider
from tests.providers.vendor import document, endless, silence, stream, vendor, whole
from workflows.providers import embeddings, registry
from workflows.providers.base import ProviderError
from workflows.providers.embeddings import BatchSize, batches
from workflows.providers.messages import EmbeddingRequest, Usage

FIRST, SECOND = [0.25, -0.5, 1.0], [0.1, 0.2, 0.3]


def texts(*inputs, **members):
    return EmbeddingRequest(model="model-1", inputs=inputs or ("one", "two"), **members)


def packed(numbers):
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


def openai_list(*vectors, tokens=7):
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": "model-1", "usage": usage}


def gemini_list(*vectors):
    return {"embeddings": [{"values": vector} for vector in vectors]}


def ollama_list(*vectors, **members):
    return {"model": "model-1", "embeddings": list(vectors), **members}


ANSWERS = {"openai": openai_list, "gemini": gemini_list, "ollama": ollama_list}
WIRES = sorted(ANSWERS)


async def embed(name, request, *answers):
    async with vendor(*answers) as served:
        found = await provider(name, served.url).embed(request)
    return found, served.requests


async def failure(name, *answers, request=None, idle_s=IDLE_S):
    async with vendor(*answers) as served:
        with pytest.raises(ProviderError) as caught:
            await provider(name, served.url, idle_s=idle_s).embed(request or texts())
    return caught.value


def numbers(found):
    return [list(vector) for vector in found.vectors]


# --- What the wires are sent, and what they answer


async def test_openai_is_asked_for_packed_vectors():
    body = openai_list(packed(FIRST), packed(FIRST))
    request = texts(dimensions=3, user="u1")

    found, [sent] = await embed("openai", request, document(body))

    assert (sent.method, sent.path) == ("POST", "/embeddings")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.body == {
        "model": "model-1",
        "input": ["one", "two"],
        "dimensions": 3,
        "encoding_format": "base64",
        "user": "u1",
    }
    assert numbers(found) == [FIRST, FIRST]
    assert found.usage == Usage(prompt_tokens=7)


async def test_numbers_are_read_where_a_server_packs_nothing():
    found, [sent] = await embed("vllm", texts(), document(openai_list(FIRST, SECOND)))

    assert sent.path == "/v1/embeddings"
    assert sent.body == {"model": "model-1", "input": ["one", "two"]}
    assert numbers(found) == [FIRST, SECOND]


async def test_mistral_calls_the_length_by_another_name():
    body = openai_list(FIRST, SECOND)

    _, [sent] = await embed("mistral", texts(dimensions=3, user="u"), document(body))

    assert sent.body == {
        "model": "model-1",
        "input": ["one", "two"],
        "output_dimension": 3,
    }


async def test_vectors_are_put_in_the_order_of_their_numbers():
    body = openai_list(FIRST, SECOND)
    body["data"].reverse()

    found, _ = await embed("openai", texts(), document(body))

    assert numbers(found) == [FIRST, SECOND]


async def test_tokens_are_passed_on_where_the_wire_has_them():
    body = openai_list(FIRST)

    _, [sent] = await embed("openai", texts((1, 2, 3)), document(body))

    assert sent.body["input"] == [[1, 2, 3]]


async def test_gemini_is_sent_a_request_for_each_text():
    request = texts("one", "two", dimensions=3)

    found, [sent] = await embed("gemini", request, document(gemini_list(FIRST, SECOND)))

    assert sent.path == "/v1beta/models/model-1:batchEmbedContents"
    assert sent.headers["x-goog-api-key"] == KEY
    assert sent.body == {
        "requests": [
            {
                "model": "models/model-1",
                "content": {"parts": [{"text": text}]},
                "outputDimensionality": 3,
            }
            for text in ("one", "two")
        ]
    }
    assert numbers(found) == [FIRST, SECOND]
    assert found.usage == Usage(prompt_tokens=2)  # estimated: it does not count


async def test_ollama_is_sent_all_texts_at_once():
    body = ollama_list(FIRST, SECOND, prompt_eval_count=9)

    found, [sent] = await embed("ollama", texts(dimensions=3), document(body))

    assert sent.path == "/api/embed"
    assert sent.body == {"model": "model-1", "input": ["one", "two"], "dimensions": 3}
    assert numbers(found) == [FIRST, SECOND]
    assert found.usage == Usage(prompt_tokens=9)


# --- Batches


@pytest.mark.parametrize(("name", "most"), [("gemini", 100), ("ollama", 128)])
async def test_many_texts_go_in_several_calls(name, most):
    several = [[float(n), 1.0] for n in range(most + 5)]
    answers = [
        document(ANSWERS[name](*several[:most])),
        document(ANSWERS[name](*several[most:])),
    ]
    request = texts(*(f"text {n}" for n in range(most + 5)))

    found, sent = await embed(name, request, *answers)

    assert numbers(found) == several
    assert len(sent) == 2


async def test_the_tokens_of_all_calls_count():
    answers = [document(openai_list(*[FIRST] * n, tokens=n)) for n in (128, 2)]

    found, _ = await embed("together", texts(*["x"] * 130), *answers)

    assert found.usage == Usage(prompt_tokens=130)


async def test_what_a_later_call_fails_with_the_whole_fails_with():
    answers = [document(openai_list(*[FIRST] * 128)), document({}, 503)]

    error = await failure("together", *answers, request=texts(*["x"] * 130))

    assert error.status == 503


def test_a_batch_is_full_by_its_tokens_too():
    request = texts("a" * 40, "b" * 40, "c" * 400, "d", (1, 2, 3))

    cut = [len(part.inputs) for part in batches(request, BatchSize(10, tokens=20))]

    assert cut == [2, 1, 2]


async def test_mistral_takes_few_tokens_at_once():
    answer = document(openai_list(FIRST))

    _, sent = await embed("mistral", texts("x" * 20_000, "y" * 20_000), answer)

    assert [len(request.body["input"]) for request in sent] == [1, 1]


async def test_nothing_is_called_for_no_texts():
    request = EmbeddingRequest(model="model-1", inputs=())

    found, sent = await embed("openai", request, document({}))

    assert (found.vectors, sent) == ([], [])


# --- What goes wrong


@pytest.mark.parametrize("name", WIRES)
async def test_f12_a_limit_is_told_with_its_time(name):
    body = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}

    error = await failure(name, document(body, 429, Retry_After="7"))

    assert (error.status, error.retry_after_s, error.is_transient) == (429, 7, True)
    assert "slow down" in error.message


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize(
    "content",
    [b"{", b"7", b"[]", b"{}", b'{"data":7,"embeddings":7}', b'{"data":[7]}'],
)
async def test_f12_an_answer_of_another_shape_is_an_error(name, content):
    error = await failure(name, whole(content))

    assert (error.status, error.code) == (502, "provider_error")
    assert "JSON" in error.message


@pytest.mark.parametrize("name", WIRES)
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_f12_another_number_of_vectors_is_an_error(name, count):
    error = await failure(name, document(ANSWERS[name](*[FIRST] * count)))

    assert error.status == 502
    assert f"{count} vectors for 2 texts" in error.message
    assert not error.is_transient


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([FIRST, FIRST[:2]], "different lengths"),
        ([[], []], "without numbers"),
        ([FIRST, packed([0.0, math.nan, 0.0])], "without numbers"),
        ([FIRST, packed([0.0, math.inf, 0.0])], "without numbers"),
        ([FIRST, "not base64!"], "JSON"),
        ([FIRST, "AAAA"], "JSON"),  # three bytes
        ([FIRST, [1.0, None, 2.0]], "JSON"),
        ([FIRST, [1.0, "2", 2.0]], "JSON"),
    ],
)
async def test_f12_vectors_that_are_none_are_an_error(vectors, message):
    error = await failure("openai", document(openai_list(*vectors)))

    assert error.status == 502
    assert message in error.message


@pytest.mark.parametrize("numbers", [(0, 0), (1, 2), (0, 7)])
async def test_f12_vectors_that_are_numbered_otherwise_are_an_error(numbers):
    body = openai_list(FIRST, SECOND)
    for entry, number in zip(body["data"], numbers, strict=True):
        entry["index"] = number

    assert (await failure("openai", document(body))).status == 502


async def test_a_length_that_a_server_does_not_heed_is_named():
    answer = document(ollama_list(FIRST, SECOND))

    error = await failure("ollama", answer, request=texts(dimensions=2))

    assert (error.status, error.param) == (400, "dimensions")
    assert "vectors have 3" in error.message


@pytest.mark.parametrize("name", WIRES)
async def test_f12_a_silent_server_is_a_timeout(name):
    error = await failure(name, silence, idle_s=SILENT_S)

    assert (error.status, error.code) == (504, "timeout")


async def test_f12_an_endless_answer_is_not_kept():
    sent = []
    flood = stream(then=endless(b" " * 65536, sent), kind="application/json")

    error = await failure("openai", flood)

    assert "more than is taken" in error.message
    assert sum(sent) < 32 * 1024 * 1024  # 16, and what the sockets held


async def test_f12_vectors_of_too_many_numbers_are_not_kept(monkeypatch):
    monkeypatch.setattr(embeddings, "MAX_NUMBERS", 128 * 3 + 5)
    answers = [document(openai_list(*[FIRST] * n)) for n in (128, 2)]

    error = await failure("together", *answers, request=texts(*["x"] * 130))

    assert "more than is taken" in error.message


@pytest.mark.parametrize("name", ["openai", "gemini"])
async def test_c04_a_vendor_that_echoes_the_key_is_not_repeated(name):
    body = {"error": {"message": f"bad key {KEY}", "code": KEY}}

    error = await failure(name, document(body, 400))

    assert KEY not in f"{error!r} {vars(error)} {error.__context__!r}"


@pytest.mark.parametrize("name", ["gemini", "ollama"])
async def test_tokens_are_refused_where_only_texts_are_taken(name):
    async with vendor(document({})) as served:
        with pytest.raises(ProviderError, match="tokens") as caught:
            await provider(name, served.url).embed(texts((1, 2)))

    assert (caught.value.status, caught.value.param) == (400, "input")
    assert served.connections == 0


NO_VECTORS = sorted(s.id for s in registry.PROVIDERS.values() if not s.embeds)


@pytest.mark.parametrize("name", NO_VECTORS)
async def test_a_provider_without_such_models_says_so(name):
    async with vendor(document({})) as served:
        with pytest.raises(ProviderError, match="no embedding models") as caught:
            await provider(name, served.url).embed(texts())

    assert (caught.value.status, caught.value.param) == (400, "model")
    assert served.connections == 0


def test_anthropic_has_no_such_models():
    assert "anthropic" in NO_VECTORS
