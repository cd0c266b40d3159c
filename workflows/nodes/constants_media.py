"""Fixed values: media, documents, tables and models."""

from workflows.engine.values import (
    AudioRef,
    DataframeRef,
    DocumentRef,
    ImageRef,
    Model3DRef,
    VideoRef,
)
from workflows.nodes import registry
from workflows.nodes.constants import Constant
from workflows.nodes.structured import (
    AsrModel,
    EmbeddingModel,
    ImageModel,
    LanguageModel,
    TtsModel,
    VideoModel,
    no_asset,
    no_model,
)


class ToolConstant(Constant):
    """Base of the constants that agents may use as tools."""

    expose_as_tool = True


@registry.register("nodetool.constant.Image")
class Image(ToolConstant):
    """A picture."""

    outputs = {"output": "image"}

    value: ImageRef = no_asset("image")


@registry.register("nodetool.constant.ImageList")
class ImageList(ToolConstant):
    """A list of pictures."""

    outputs = {"output": "list[image]"}

    value: list[ImageRef] = []


@registry.register("nodetool.constant.Audio")
class Audio(ToolConstant):
    """A sound."""

    outputs = {"output": "audio"}

    value: AudioRef = no_asset("audio")


@registry.register("nodetool.constant.AudioList")
class AudioList(ToolConstant):
    """A list of sounds."""

    outputs = {"output": "list[audio]"}

    value: list[AudioRef] = []


@registry.register("nodetool.constant.Video")
class Video(ToolConstant):
    """A video."""

    outputs = {"output": "video"}

    value: VideoRef = no_asset("video")


@registry.register("nodetool.constant.VideoList")
class VideoList(ToolConstant):
    """A list of videos."""

    outputs = {"output": "list[video]"}

    value: list[VideoRef] = []


@registry.register("nodetool.constant.Document")
class Document(ToolConstant):
    """A document."""

    outputs = {"output": "document"}

    value: DocumentRef = no_asset("document")


@registry.register("nodetool.constant.DataFrame")
class DataFrame(ToolConstant):
    """A table."""

    outputs = {"output": "dataframe"}

    value: DataframeRef = no_asset("dataframe")


@registry.register("nodetool.constant.Model3D")
class Model3D(ToolConstant):
    """A 3-D model."""

    title = "Model 3D"
    outputs = {"output": "model_3d"}

    value: Model3DRef = no_asset("model_3d")


@registry.register("nodetool.constant.LanguageModelConstant")
class LanguageModelConstant(ToolConstant):
    """A model that writes text."""

    title = "Language Model"
    outputs = {"output": "language_model"}

    value: LanguageModel = no_model("language_model")


@registry.register("nodetool.constant.ImageModelConstant")
class ImageModelConstant(ToolConstant):
    """A model that makes pictures."""

    title = "Image Model"
    outputs = {"output": "image_model"}

    value: ImageModel = no_model("image_model")


@registry.register("nodetool.constant.VideoModelConstant")
class VideoModelConstant(ToolConstant):
    """A model that makes videos."""

    title = "Video Model"
    outputs = {"output": "video_model"}

    value: VideoModel = no_model("video_model")


@registry.register("nodetool.constant.TTSModelConstant")
class TTSModelConstant(ToolConstant):
    """A model that speaks."""

    title = "TTS Model"
    outputs = {"output": "tts_model"}

    value: TtsModel = no_model("tts_model")


@registry.register("nodetool.constant.ASRModelConstant")
class ASRModelConstant(ToolConstant):
    """A model that writes down what is spoken."""

    title = "ASR Model"
    outputs = {"output": "asr_model"}

    value: AsrModel = no_model("asr_model")


@registry.register("nodetool.constant.EmbeddingModelConstant")
class EmbeddingModelConstant(ToolConstant):
    """A model that turns text into vectors."""

    title = "Embedding Model"
    outputs = {"output": "embedding_model"}

    value: EmbeddingModel = no_model("embedding_model")
