"""What the input nodes send for a parameter."""

from typing import Any

from tests.nodes.cases.values import LISTS, MESSAGE, STRUCTURED
from tests.nodes.harness import Case

PLAIN: dict[str, Any] = {
    "BooleanInput": True,
    "FilePathInput": "notes/a.txt",
    "FolderPathInput": "notes",
    "StringListInput": ["a", "b"],
    "TextListInput": ["c"],
    "MessageListInput": [MESSAGE],
}
STRUCTURED_TYPES = {
    "ASRModelInput": "asr_model",
    "AssetFolderInput": "folder",
    "AudioInput": "audio",
    "ColorInput": "color",
    "DataframeInput": "dataframe",
    "DocumentInput": "document",
    "EmbeddingModelInput": "embedding_model",
    "HuggingFaceModelInput": "hf.model",
    "ImageInput": "image",
    "ImageModelInput": "image_model",
    "ImageSizeInput": "image_size",
    "LanguageModelInput": "language_model",
    "MessageInput": "message",
    "Model3DInput": "model_3d",
    "TTSModelInput": "tts_model",
    "VideoInput": "video",
    "VideoModelInput": "video_model",
}
LIST_TYPES = {
    "AudioListInput": "audio",
    "ImageListInput": "image",
    "VideoListInput": "video",
}


def of_param(name: str, value: Any, **data: Any) -> Case:
    return Case(
        node_type=f"nodetool.input.{name}",
        data=data,
        param=value,
        expect={"output": [value]},
    )


CASES = [
    *(of_param(name, value) for name, value in PLAIN.items()),
    *(of_param(name, STRUCTURED[kind]) for name, kind in STRUCTURED_TYPES.items()),
    *(of_param(name, LISTS[kind]) for name, kind in LIST_TYPES.items()),
    of_param("FloatInput", 0.5, max=1),
    of_param("IntegerInput", -3, min=-5),
    of_param("SelectInput", "b", options=["a", "b"]),
    Case(
        node_type="nodetool.input.StringInput",
        data={"max_length": 3, "line_mode": "multi_line"},
        param="abcd",
        expect={"output": ["abc"]},
    ),
    Case(
        node_type="nodetool.input.DocumentFileInput",
        param="/data/my notes.pdf",
        expect={
            "document": [
                {
                    "type": "document",
                    "uri": "file:///data/my%20notes.pdf",
                    "asset_id": None,
                    "data": None,
                    "metadata": None,
                }
            ],
            "path": ["/data/my notes.pdf"],
        },
    ),
    Case(
        node_type="nodetool.input.MessageDeconstructor",
        data={"value": MESSAGE},
        expect={
            "id": ["m1"],
            "thread_id": ["t1"],
            "role": ["user"],
            "text": ["Look:"],
            "image": [{"type": "image", "uri": "https://a/b.png"}],
            "audio": [{"type": "audio", "asset_id": "a1"}],
            "model": [
                {
                    "type": "language_model",
                    "provider": "fake",
                    "id": "fake-1",
                    "name": "",
                    "path": None,
                    "supported_tasks": [],
                }
            ],
        },
    ),
]
