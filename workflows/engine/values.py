"""What travels along edges.

Plain JSON values, and structured values: dicts whose ``type`` names what they are.
Media travel as references (an address or an asset id), never as bytes. The aliases
below are for the annotations of node properties.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

ASSET_TYPES = frozenset(
    [
        "image",
        "audio",
        "video",
        "text",
        "document",
        "folder",
        "dataframe",
        "model_3d",
        "excel",
        "json",
        "svg",
        "html",
        "font",
        "model_ref",
    ]
)
STRUCTURED_TYPES = ASSET_TYPES | frozenset(
    [
        "date",
        "datetime",
        "color",
        "image_size",
        "np_array",
        "record_type",
        "chunk",
        "message",
        "thread",
        "rss_entry",
        "collection",
        "faiss_index",
        "task",
        "step",
        "tool_name",
        "file_path",
        "folder_path",
        "audio_stream",
        "language_model",
        "image_model",
        "video_model",
        "tts_model",
        "asr_model",
        "embedding_model",
        "llama_model",
        "hf.model",
        "model_3d_model",
        "audio_chunk",
        "text_chunk",
        "svg_element",
        "ocr_result",
        "chart_config",
        "plotly_config",
        "source",
    ]
)


class Tag(msgspec.Struct, frozen=True):
    """Marks an annotation with the wire name of its type."""

    name: str


AssetRef = Annotated[dict[str, Any], Tag("asset")]
ImageRef = Annotated[dict[str, Any], Tag("image")]
AudioRef = Annotated[dict[str, Any], Tag("audio")]
VideoRef = Annotated[dict[str, Any], Tag("video")]
TextRef = Annotated[dict[str, Any], Tag("text")]
DocumentRef = Annotated[dict[str, Any], Tag("document")]
FolderRef = Annotated[dict[str, Any], Tag("folder")]
DataframeRef = Annotated[dict[str, Any], Tag("dataframe")]
Model3DRef = Annotated[dict[str, Any], Tag("model_3d")]
DateValue = Annotated[dict[str, Any], Tag("date")]
DatetimeValue = Annotated[dict[str, Any], Tag("datetime")]
ColorValue = Annotated[dict[str, Any], Tag("color")]
ChunkValue = Annotated[dict[str, Any], Tag("chunk")]
MessageValue = Annotated[dict[str, Any], Tag("message")]


def empty_asset(kind: str) -> dict[str, Any]:
    """Return the reference that stands for "nothing chosen yet"."""
    return {"type": kind, "uri": "", "asset_id": None, "data": None, "metadata": None}


def text_chunk(content: str, *, done: bool = False) -> dict[str, Any]:
    """Return one piece of streamed text as it travels along edges."""
    return {
        "type": "chunk",
        "content_type": "text",
        "content": content,
        "content_metadata": {},
        "done": done,
        "thinking": False,
    }


def is_chunk(value: Any) -> bool:
    """Tell whether the value is a piece of a streamed text, sound or picture."""
    return type(value) is dict and value.get("type") == "chunk"


def is_blank(value: Any) -> bool:
    """Tell whether the value is what an input node has when nobody has set it."""
    if type(value) is dict and value.get("type") in ASSET_TYPES:
        return not (value.get("uri") or value.get("asset_id") or value.get("data"))
    return value is None or value in ("", [], {})


_PLAIN_NAMES = {
    type(None): "none",
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    list: "list",
    tuple: "list",
    bytes: "bytes",
}


def wire_type(value: Any) -> str:
    """Return the wire name of a value's type; ``any`` when there is none for it."""
    name = _PLAIN_NAMES.get(type(value))
    if name is not None:
        return name
    if isinstance(value, dict):
        tag = value.get("type")
        known = isinstance(tag, str) and (
            tag in STRUCTURED_TYPES or tag.startswith("hf.")
        )
        return str(tag) if known else "dict"
    return "any"
