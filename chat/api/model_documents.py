"""Models and their providers as ``/api/models`` shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chat.providers import Standing
    from workflows.providers.messages import ModelInfo, ModelKind
    from workflows.providers.registry import ProviderSpec

    Offered = Mapping[str, list[ModelInfo]]  # by provider

Document = dict[str, Any]

# By the words of the routes.
KINDS: dict[str, ModelKind] = {
    "llm": "language",
    "image": "image",
    "tts": "tts",
    "asr": "asr",
    "video": "video",
    "embedding": "embedding",
}
TASKS: dict[str, ModelKind] = {
    "language": "language",
    "language/text-generation": "language",
    "language/embedding": "embedding",
    "embedding": "embedding",
    "image": "image",
    "image/text-to-image": "image",
    "video": "video",
    "video/text-to-video": "video",
    "tts": "tts",
    "asr": "asr",
}
PIPELINES: dict[ModelKind, str] = {
    "language": "text-generation",
    "embedding": "feature-extraction",
    "image": "text-to-image",
    "video": "text-to-video",
    "tts": "text-to-speech",
    "asr": "automatic-speech-recognition",
}
RECOMMENDED_OF_EACH = 3
# What is only known of models that lie in files.
_OF_FILES = (
    "repo_id",
    "path",
    "artifact_family",
    "artifact_component",
    "artifact_confidence",
    "artifact_evidence",
    "cache_path",
    "allow_patterns",
    "ignore_patterns",
    "description",
    "readme",
    "downloaded",
    "size_on_disk",
    "has_model_index",
    "downloads",
    "likes",
    "trending_score",
    "image",
)


def provider_document(standing: Standing) -> Document:
    """Return a provider: what it can do here, and what is missing before it can."""
    return {
        "provider": standing.spec.id,
        "title": standing.spec.title,
        "capabilities": _capabilities(standing.spec),
        "is_configured": standing.lacking is None,
        "missing_secret": standing.missing_secret,
        "missing_setting": standing.missing_setting,
    }


def model_document(provider: str, model: ModelInfo) -> Document:
    """Return a model as a property of a node holds it: ``LanguageModel`` and others."""
    found: Document = {
        "type": _type_of(model),
        "provider": provider,
        "id": model.id,
        "name": model.name or model.id,
        "path": None,
        "supported_tasks": [],
    }
    if model.kind == "tts":
        found.update(voices=[], selected_voice="")
    elif model.kind == "embedding":
        found.update(dimensions=0)  # no list tells them
    return found


def unified_documents(
    offered: Offered, *, kind: ModelKind | None = None
) -> list[Document]:
    """Return models of all kinds or of one as ``UnifiedModel``, by provider and id."""
    return [
        _unified(provider, model)
        for provider in sorted(offered)
        for model in sorted(offered[provider], key=lambda one: one.id)
        if kind is None or model.kind == kind
    ]


def recommended(offered: Offered) -> Offered:
    """Return the newest few models of each kind of each provider.

    The default model is among them, if it is offered. Where a list tells no times, its
    first ones count.
    """
    return {provider: list(_newest(models)) for provider, models in offered.items()}


def _newest(models: list[ModelInfo]) -> Iterator[ModelInfo]:
    taken: dict[ModelKind, int] = {}
    order = sorted(
        models, key=lambda one: (one.id != settings.DEFAULT_MODEL, -one.created)
    )
    for model in order:
        count = taken[model.kind] = taken.get(model.kind, 0) + 1
        if count <= RECOMMENDED_OF_EACH:
            yield model


def _capabilities(spec: ProviderSpec) -> list[str]:
    found = ["generate_message", "generate_messages"]
    return [*found, "generate_embedding"] if spec.embeds else found


def _type_of(model: ModelInfo) -> str:
    return f"{model.kind}_model"


def _unified(provider: str, model: ModelInfo) -> Document:
    return {
        "id": model.id,
        "type": _type_of(model),
        "name": model.name or model.id,
        "provider": provider,
        "pipeline_tag": PIPELINES[model.kind],
        "tags": [provider],
        **dict.fromkeys(_OF_FILES),
    }
