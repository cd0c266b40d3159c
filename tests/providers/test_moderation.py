"""Judging a text, which only OpenAI does."""

import json

import pytest

from tests.providers.calling import KEY, provider
from tests.providers.vendor import vendor, whole
from workflows.providers.base import ProviderError
from workflows.providers.messages import Moderation

JUDGED = {"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": 1}}


def answer(*results):
    return whole(json.dumps({"id": "m", "results": results}).encode())


async def test_a_text_is_judged():
    async with vendor(answer({**JUDGED, "more": 1})) as served:
        found = await provider("openai", served.url).moderate("bad", "omni")

    assert found == Moderation(True, {"hate": True}, {"hate": 1.0})
    (request,) = served.requests
    assert request.path == "/moderations"
    assert request.body == {"model": "omni", "input": "bad"}
    assert request.headers["authorization"] == f"Bearer {KEY}"


async def test_a_category_that_a_model_does_not_know_is_left_out():
    judged = {
        "flagged": True,
        "categories": {"hate": True, "illicit": None},
        "category_scores": {"hate": 1, "illicit": None},
    }
    async with vendor(answer(judged)) as served:
        found = await provider("openai", served.url).moderate("bad", "omni")

    assert found == Moderation(True, {"hate": True}, {"hate": 1.0})


@pytest.mark.parametrize("results", [[], [{"flagged": "yes"}]])
async def test_f12_a_judgement_that_makes_no_sense_is_an_error(results):
    async with vendor(answer(*results)) as served:
        with pytest.raises(ProviderError, match="JSON that is not understood"):
            await provider("openai", served.url).moderate("bad", "omni")
