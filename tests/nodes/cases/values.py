"""A value of each structured type."""

ASSETS = ["audio", "dataframe", "document", "folder", "image", "model_3d", "video"]
MODELS = ["asr", "embedding", "image", "language", "tts", "video"]

MESSAGE = {
    "type": "message",
    "id": "m1",
    "thread_id": "t1",
    "role": "user",
    "provider": "fake",
    "model": "fake-1",
    "content": [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image": {"type": "image", "uri": "https://a/b.png"}},
        {"type": "audio", "audio": {"type": "audio", "asset_id": "a1"}},
    ],
}
STRUCTURED = {
    **{kind: {"type": kind, "uri": f"asset://{kind}"} for kind in ASSETS},
    **{
        f"{kind}_model": {"type": f"{kind}_model", "provider": "fake", "id": "m"}
        for kind in MODELS
    },
    "hf.model": {"type": "hf.model", "repo_id": "a/b"},
    "color": {"type": "color", "value": "#ff0000"},
    "image_size": {"type": "image_size", "width": 8, "height": 8, "preset": None},
    "message": MESSAGE,
}
LISTS = {
    kind: [{"type": kind, "uri": "asset://1"}, {"type": kind, "uri": "asset://2"}]
    for kind in ("audio", "image", "video")
}
