"""Structured values that properties hold: their types, and what "nothing chosen" is."""

from typing import Annotated, Any, get_args

import msgspec

from workflows.engine.type_specs import TypeSpec
from workflows.engine.values import Tag, empty_asset

AsrModel = Annotated[dict[str, Any], Tag("asr_model")]
EmbeddingModel = Annotated[dict[str, Any], Tag("embedding_model")]
HuggingFaceModel = Annotated[dict[str, Any], Tag("hf.model")]
ImageModel = Annotated[dict[str, Any], Tag("image_model")]
ImageSizeValue = Annotated[dict[str, Any], Tag("image_size")]
JsonRef = Annotated[dict[str, Any], Tag("json")]
LanguageModel = Annotated[dict[str, Any], Tag("language_model")]
RecordType = Annotated[dict[str, Any], Tag("record_type")]
ToolName = Annotated[dict[str, Any], Tag("tool_name")]
TtsModel = Annotated[dict[str, Any], Tag("tts_model")]
VideoModel = Annotated[dict[str, Any], Tag("video_model")]

_TASK_MODEL: dict[str, Any] = {"path": None, "supported_tasks": []}
_DETAILS: dict[str, dict[str, Any]] = {
    "asr_model": {"path": None},
    "embedding_model": {"dimensions": 0},
    "image_model": _TASK_MODEL,
    "language_model": _TASK_MODEL,
    "tts_model": {"path": None, "voices": [], "selected_voice": ""},
    "video_model": _TASK_MODEL,
    "dataframe": {"columns": None},
    "model_3d": {"format": None, "material_file": None, "texture_files": []},
    "video": {"duration": None, "format": None},
}


def no_asset(kind: str) -> Any:
    """Return a field whose default is the reference to no asset."""
    return _default({**empty_asset(kind), **_DETAILS.get(kind, {})})


def no_model(kind: str) -> Any:
    """Return a field whose default is no model of a provider."""
    model = {"type": kind, "provider": "empty", "id": "", "name": ""}
    return _default({**model, **_DETAILS[kind]})


def small_embedding_model() -> Any:
    """Return a field whose default is OpenAI's small model for vectors."""
    name, dimensions = "Text Embedding 3 Small", {"dimensions": 0}
    model = {"type": "embedding_model", "provider": "openai", "name": name}
    return _default({**model, "id": "text-embedding-3-small", **dimensions})


def gemma_for_vectors() -> Any:
    """Return a field whose default is Ollama's small model for vectors."""
    model = {"type": "language_model", "provider": "ollama", "id": "embeddinggemma"}
    return _default({**model, "name": "", **_TASK_MODEL})


def no_hugging_face_model() -> Any:
    """Return a field whose default is no model of the Hugging Face hub."""
    return _default(
        {
            "type": "hf.model",
            "repo_id": "",
            "path": None,
            "variant": None,
            "allow_patterns": None,
            "ignore_patterns": None,
        }
    )


def no_columns() -> Any:
    """Return a field whose default is a record without columns."""
    return _default({"type": "record_type", "columns": []})


def tool_names(*names: str) -> Any:
    """Return a field whose default are these tools."""
    return _default([{"type": "tool_name", "name": name} for name in names])


def texts(*values: str) -> Any:
    """Return a field whose default are these texts."""
    return _default(list(values))


def no_message() -> Any:
    """Return a field whose default is an empty chat message."""
    names = (
        "id workflow_id graph thread_id tools tool_call_id role name content "
        "tool_calls collections input_files created_at provider model agent_mode "
        "help_mode agent_execution_id execution_event_type workflow_target "
        "workflow_message_input_name workflow_messages_input_name"
    )
    unset: dict[str, Any] = dict.fromkeys(names.split())
    return _default({"type": "message", **unset, "role": ""})


def no_color() -> Any:
    """Return a field whose default is no colour."""
    return _default({"type": "color", "value": None})


def default_size() -> Any:
    """Return a field whose default is the usual size of a picture."""
    return _default(
        {"type": "image_size", "width": 1024, "height": 1024, "preset": None}
    )


def _default(value: Any) -> Any:
    # Nodes never change a value in place, so all instances may share one.
    return msgspec.field(default_factory=lambda: value)


def choice(literal: Any, name: str) -> TypeSpec:
    """Return the enum type of a ``Literal``, under the name that editors know."""
    return TypeSpec("enum", values=get_args(literal), type_name=name)
