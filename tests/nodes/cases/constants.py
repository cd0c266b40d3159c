"""What the constants give when they are set."""

from typing import Any

from tests.nodes.cases.values import LISTS, STRUCTURED
from tests.nodes.harness import Case

PLAIN = {
    "Bool": True,
    "Integer": 7,
    "Float": 0.5,
    "String": "text",
    "TextList": ["a", "b"],
    "List": [1, "b", [None]],
    "Dict": {"output": 1, "type": "mine"},
    "JSON": {"type": "json", "uri": "", "data": "{}"},
}
MODELS = ["ASR", "Embedding", "Image", "Language", "TTS", "Video"]
STRUCTURED_TYPES = {
    "Audio": "audio",
    "DataFrame": "dataframe",
    "Document": "document",
    "Image": "image",
    "Model3D": "model_3d",
    "Video": "video",
    **{f"{name}ModelConstant": f"{name.lower()}_model" for name in MODELS},
}
LIST_TYPES = {"AudioList": "audio", "ImageList": "image", "VideoList": "video"}
SIZE = {"type": "image_size", "width": 640, "height": 480, "preset": None}


def of_value(name: str, value: Any) -> Case:
    return Case(
        node_type=f"nodetool.constant.{name}",
        data={"value": value},
        expect={"output": [value]},
    )


CASES = [
    *(of_value(name, value) for name, value in PLAIN.items()),
    *(of_value(name, STRUCTURED[kind]) for name, kind in STRUCTURED_TYPES.items()),
    *(of_value(name, LISTS[kind]) for name, kind in LIST_TYPES.items()),
    Case(
        node_type="nodetool.constant.Select",
        data={"value": "b", "options": ["a", "b"], "enum_type_name": "Letters"},
        expect={"output": ["b"]},
    ),
    Case(
        node_type="nodetool.constant.Date",
        data={"year": 2024, "month": 2, "day": 29},
        expect={"output": [{"type": "date", "year": 2024, "month": 2, "day": 29}]},
    ),
    Case(
        node_type="nodetool.constant.DateTime",
        data={"year": 2024, "hour": 23, "millisecond": 5, "utc_offset": 120},
        expect={
            "output": [
                {
                    "type": "datetime",
                    "year": 2024,
                    "month": 1,
                    "day": 1,
                    "hour": 23,
                    "minute": 0,
                    "second": 0,
                    "microsecond": 5000,
                    "tzinfo": "UTC",
                    "utc_offset": 120,
                }
            ]
        },
    ),
    Case(
        node_type="nodetool.constant.ImageSize",
        data={"value": SIZE},
        expect={"image_size": [SIZE], "width": [640], "height": [480]},
    ),
]
