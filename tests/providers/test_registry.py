"""Which provider a model id means, and how the vendors' failures are told."""

import subprocess
import sys

import pytest

from nodetool_site.lib.registered import SECRET_NAMES
from workflows.providers import registry
from workflows.providers.base import error_for_status
from workflows.providers.fake import FakeProvider


def form(model, off=()):
    found = registry.by_form(model, is_on=lambda provider: provider not in off)
    return found and (found.spec.id, found.model)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("openai/gpt-4o", ("openai", "gpt-4o")),
        ("openrouter/meta/llama-3", ("openrouter", "meta/llama-3")),
        ("fake/echo", ("fake", "echo")),
        ("meta-llama/llama-3", None),
        ("openai/", None),
        ("openai", None),
        ("gpt-4o", None),
    ],
)
def test_a_known_provider_before_the_slash_counts(model, expected):
    found = registry.split_id(model)

    assert (found and (found.spec.id, found.model)) == expected


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o", "openai"),
        ("chatgpt-4o-latest", "openai"),
        ("o1", "openai"),
        ("o3-mini", "openai"),
        ("o4-mini", "openai"),
        ("claude-sonnet-4", "anthropic"),
        ("gemini-2.0-flash", "gemini"),
        ("gemma-3-27b-it", "gemini"),
        ("mistral-small", "mistral"),
        ("codestral-latest", "mistral"),
        ("magistral-medium", "mistral"),
        ("fake", "fake"),
        ("fake-x", "fake"),
        ("gpt-oss:20b", "ollama"),
        ("gpt-oss-120b", "ollama"),
        ("llama3.2:latest", "ollama"),
        ("gemma-2:9b", "ollama"),
        ("text-embedding-3-small", "openai"),
        ("text-embedding-ada-002", "openai"),
        ("text-embedding-004", "gemini"),
        ("gemini-embedding-001", "gemini"),
        ("mistral-embed", "mistral"),
        ("nomic-embed-text", "ollama"),
        ("bge-m3", "ollama"),
    ],
)
def test_the_form_of_an_id_names_a_provider(model, provider):
    assert form(model) == (provider, model)


@pytest.mark.parametrize(
    "model", ["o1x", "o2", "fakery", "llama", "claude", "my-gpt-4"]
)
def test_other_forms_name_none(model):
    assert form(model) is None


def test_a_provider_that_is_off_takes_no_ids():
    assert form("fake-n20", off=("fake",)) is None


def test_the_default_provider_wins_where_two_list_an_id():
    catalogs = {"openai": {"a", "b"}, "groq": {"a"}}

    assert registry.by_catalog("a", catalogs, first="groq").spec.id == "groq"
    assert registry.by_catalog("a", catalogs, first="ollama").spec.id == "openai"
    assert registry.by_catalog("b", catalogs, first="groq").spec.id == "openai"
    assert registry.by_catalog("c", catalogs, first="groq") is None


def test_a_provider_is_made_from_its_path():
    spec = registry.PROVIDERS["fake"]

    made = registry.make_provider(spec, api_key=None, base_url="", timeout_s=1)

    assert isinstance(made, FakeProvider)


def test_knowing_the_providers_imports_none_of_them():
    code = (
        "import sys, workflows.providers.registry;"
        "print([m for m in sys.modules if 'providers.' in m or m == 'msgspec'])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "['workflows.providers.registry']"


@pytest.mark.parametrize(
    ("status", "seen", "code", "is_transient"),
    [
        (400, 400, None, False),
        (401, 502, "provider_auth_error", False),
        (403, 502, "provider_auth_error", False),
        (404, 404, "model_not_found", False),
        (408, 504, "timeout", True),
        (413, 400, None, False),
        (422, 400, None, False),
        (429, 429, "rate_limit_exceeded", True),
        (500, 502, "provider_error", True),
        (503, 503, "provider_unavailable", True),
        (504, 504, "timeout", True),
        (529, 503, "provider_unavailable", True),
    ],
)
def test_a_vendors_status_becomes_ours(status, seen, code, is_transient):
    error = error_for_status(status, "no")

    assert (error.status, error.code) == (seen, code)
    assert error.is_transient is is_transient


def test_a_vendors_words_are_kept():
    error = error_for_status(429, "no", code="insufficient_quota", retry_after_s=3)

    assert (error.code, error.retry_after_s) == ("insufficient_quota", 3)


@pytest.mark.parametrize("provider", sorted(registry.PROVIDERS))
def test_every_provider_of_the_table_can_be_made(provider):
    spec = registry.PROVIDERS[provider]

    made = registry.make_provider(
        spec, api_key="k", base_url="http://localhost:1", timeout_s=0.5
    )

    assert callable(made.stream)
    assert callable(made.models)
    assert callable(made.embed)
    assert spec.key_name is None or spec.key_name in SECRET_NAMES
