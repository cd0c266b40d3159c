"""Which providers there are, and which of them a model id means."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from workflows.providers.base import Provider

FAKE = "fake"
_ADAPTERS = "workflows.providers"
_OPENAI = f"{_ADAPTERS}.openai:OpenAIProvider"


class ProviderSpec(NamedTuple):
    """A provider of models.

    ``path`` is ``module:class``, imported on first use. ``key_name`` is the secret
    that holds its key; one without needs none, and counts as configured where
    ``base_url`` or the setting ``base_url_setting`` names an address. ``embeds``: it
    has models for vectors, and an API for them that its adapter speaks.
    """

    id: str
    title: str
    path: str
    key_name: str | None
    base_url: str
    base_url_setting: str
    embeds: bool = True


PROVIDERS: dict[str, ProviderSpec] = {
    spec.id: spec
    for spec in (
        ProviderSpec(
            "openai",
            "OpenAI",
            _OPENAI,
            "OPENAI_API_KEY",
            "https://api.openai.com/v1",
            "OPENAI_BASE_URL",
        ),
        ProviderSpec(
            "anthropic",
            "Anthropic",
            f"{_ADAPTERS}.anthropic:AnthropicProvider",
            "ANTHROPIC_API_KEY",
            "https://api.anthropic.com",
            "ANTHROPIC_BASE_URL",
            embeds=False,
        ),
        ProviderSpec(
            "gemini",
            "Gemini",
            f"{_ADAPTERS}.gemini:GeminiProvider",
            "GEMINI_API_KEY",
            "https://generativelanguage.googleapis.com",
            "GEMINI_BASE_URL",
        ),
        ProviderSpec(
            "ollama",
            "Ollama",
            f"{_ADAPTERS}.ollama:OllamaProvider",
            None,
            "http://127.0.0.1:11434",
            "OLLAMA_API_URL",
        ),
        ProviderSpec(
            "mistral",
            "Mistral",
            _OPENAI,
            "MISTRAL_API_KEY",
            "https://api.mistral.ai/v1",
            "MISTRAL_BASE_URL",
        ),
        ProviderSpec(
            "groq",
            "Groq",
            _OPENAI,
            "GROQ_API_KEY",
            "https://api.groq.com/openai/v1",
            "GROQ_BASE_URL",
            embeds=False,
        ),
        ProviderSpec(
            "openrouter",
            "OpenRouter",
            _OPENAI,
            "OPENROUTER_API_KEY",
            "https://openrouter.ai/api/v1",
            "OPENROUTER_BASE_URL",
        ),
        ProviderSpec(
            "together",
            "Together",
            _OPENAI,
            "TOGETHER_API_KEY",
            "https://api.together.xyz/v1",
            "TOGETHER_BASE_URL",
        ),
        ProviderSpec(
            "cerebras",
            "Cerebras",
            _OPENAI,
            "CEREBRAS_API_KEY",
            "https://api.cerebras.ai/v1",
            "CEREBRAS_BASE_URL",
            embeds=False,
        ),
        ProviderSpec(
            "deepseek",
            "DeepSeek",
            _OPENAI,
            "DEEPSEEK_API_KEY",
            "https://api.deepseek.com",
            "DEEPSEEK_BASE_URL",
            embeds=False,
        ),
        ProviderSpec(
            "huggingface",
            "Hugging Face",
            _OPENAI,
            "HF_TOKEN",
            "https://router.huggingface.co/v1",
            "HUGGINGFACE_BASE_URL",
            embeds=False,
        ),
        ProviderSpec(
            "minimax",
            "MiniMax",
            _OPENAI,
            "MINIMAX_API_KEY",
            "https://api.minimax.io/v1",
            "MINIMAX_BASE_URL",
            embeds=False,
        ),
        ProviderSpec(
            "zhipu",
            "Zhipu",
            _OPENAI,
            "ZHIPU_API_KEY",
            "https://open.bigmodel.cn/api/paas/v4",
            "ZHIPU_BASE_URL",
        ),
        ProviderSpec("vllm", "vLLM", _OPENAI, None, "", "VLLM_BASE_URL"),
        ProviderSpec("llama_cpp", "llama.cpp", _OPENAI, None, "", "LLAMA_CPP_URL"),
        ProviderSpec("lmstudio", "LM Studio", _OPENAI, None, "", "LMSTUDIO_API_URL"),
        ProviderSpec(FAKE, "Fake", f"{_ADAPTERS}.fake:FakeProvider", None, "fake:", ""),
    )
}
# Ids that NodeTool's clients know and this server calls none of: they offer nothing.
_ELSEWHERE = re.compile("replicate|fal_ai|zai|kie|aime|mlx|huggingface_.+")
BASE_URL_SETTINGS = tuple(
    spec.base_url_setting for spec in PROVIDERS.values() if spec.base_url_setting
)

_PREFIXES = (
    (re.compile(r"gpt-(?!oss)|chatgpt-|o[134](?:-|\Z)"), "openai"),
    (re.compile(r"text-embedding-(?!00\d)"), "openai"),
    (re.compile(r"text-embedding-00\d|embedding-001"), "gemini"),
    (re.compile(r"claude-"), "anthropic"),
    (re.compile(r"(?:gemini|gemma)-[^:]*\Z"), "gemini"),
    (re.compile(r"(?:mistral|codestral|magistral)-"), "mistral"),
    (re.compile(r"fake(?:-|\Z)"), FAKE),
    (
        re.compile(
            "nomic-embed-|mxbai-embed-|snowflake-arctic-embed|all-minilm|bge-"
            "|embeddinggemma"
        ),
        "ollama",
    ),
)


class Target(NamedTuple):
    """Where a model id leads: a provider, and the id that it knows the model by."""

    spec: ProviderSpec
    model: str


def is_known(provider: str) -> bool:
    """Tell whether an id is that of a provider, of this server or of others like it."""
    return provider in PROVIDERS or _ELSEWHERE.fullmatch(provider) is not None


def split_id(model: str) -> Target | None:
    """Return what ``<provider id>/<model>`` says; None for every other id."""
    provider, _, rest = model.partition("/")
    spec = PROVIDERS.get(provider)
    return Target(spec, rest) if spec is not None and rest else None


def by_catalog(
    model: str, catalogs: Mapping[str, Collection[str]], *, first: str
) -> Target | None:
    """Return the provider whose list has exactly this id.

    ``catalogs``: the model ids of the configured providers. ``first`` is asked first.
    """
    order = sorted(catalogs, key=lambda provider: provider != first)
    for provider in order:
        if model in catalogs[provider]:
            return Target(PROVIDERS[provider], model)
    return None


def by_form(model: str, *, is_on: Callable[[str], bool]) -> Target | None:
    """Return the provider that an id of this form belongs to, offered or not.

    ``is_on`` tells whether the server has a provider at all.
    """
    for pattern, provider in _PREFIXES:
        if pattern.match(model) and is_on(provider):
            return Target(PROVIDERS[provider], model)
    if ":" in model or model.startswith("gpt-oss"):
        return Target(PROVIDERS["ollama"], model)
    return None


def make_provider(
    spec: ProviderSpec, *, api_key: str | None, base_url: str, timeout_s: float
) -> Provider:
    """Return a provider at an address; its module is imported here."""
    module, _, name = spec.path.partition(":")
    provider_class = getattr(import_module(module), name)
    provider: Provider = provider_class(
        api_key=api_key,
        base_url=base_url or spec.base_url,
        timeout_s=timeout_s,
        spec=spec,
    )
    return provider
