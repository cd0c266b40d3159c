"""Parameters of a workflow that refer to media, documents and tables."""

from workflows.engine.values import (
    AudioRef,
    DataframeRef,
    DocumentRef,
    FolderRef,
    ImageRef,
    Model3DRef,
    VideoRef,
)
from workflows.nodes import registry
from workflows.nodes.inputs import Parameter
from workflows.nodes.structured import no_asset


@registry.register("nodetool.input.ImageInput")
class ImageInput(Parameter):
    """A picture."""

    outputs = {"output": "image"}

    value: ImageRef = no_asset("image")


@registry.register("nodetool.input.ImageListInput")
class ImageListInput(Parameter):
    """A list of pictures."""

    outputs = {"output": "list[image]"}

    value: list[ImageRef] = []


@registry.register("nodetool.input.AudioInput")
class AudioInput(Parameter):
    """A sound."""

    outputs = {"output": "audio"}

    value: AudioRef = no_asset("audio")


@registry.register("nodetool.input.AudioListInput")
class AudioListInput(Parameter):
    """A list of sounds."""

    outputs = {"output": "list[audio]"}

    value: list[AudioRef] = []


@registry.register("nodetool.input.RealtimeAudioInput")
class RealtimeAudioInput(Parameter):
    """A stream of pieces of sound that the caller sends, and ends."""

    outputs = {"chunk": "chunk"}
    streaming_output = True

    value: AudioRef = no_asset("audio")


@registry.register("nodetool.input.VideoInput")
class VideoInput(Parameter):
    """A video."""

    outputs = {"output": "video"}

    value: VideoRef = no_asset("video")


@registry.register("nodetool.input.VideoListInput")
class VideoListInput(Parameter):
    """A list of videos."""

    outputs = {"output": "list[video]"}

    value: list[VideoRef] = []


@registry.register("nodetool.input.DocumentInput")
class DocumentInput(Parameter):
    """A document."""

    outputs = {"output": "document"}

    value: DocumentRef = no_asset("document")


@registry.register("nodetool.input.AssetFolderInput")
class AssetFolderInput(Parameter):
    """A folder of assets."""

    outputs = {"output": "folder"}

    value: FolderRef = no_asset("folder")


@registry.register("nodetool.input.DataframeInput")
class DataframeInput(Parameter):
    """A table."""

    outputs = {"output": "dataframe"}

    value: DataframeRef = no_asset("dataframe")


@registry.register("nodetool.input.Model3DInput")
class Model3DInput(Parameter):
    """A 3-D model."""

    title = "Model 3D Input"
    outputs = {"output": "model_3d"}

    value: Model3DRef = no_asset("model_3d")
