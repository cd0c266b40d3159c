"""Parameters of a workflow that name models, and those that carry chat messages."""

from workflows.engine.values import MessageValue
from workflows.nodes import registry
from workflows.nodes.inputs import Parameter
from workflows.nodes.structured import (
    AsrModel,
    EmbeddingModel,
    HuggingFaceModel,
    ImageModel,
    LanguageModel,
    TtsModel,
    VideoModel,
    no_hugging_face_model,
    no_message,
    no_model,
)


@registry.register("nodetool.input.LanguageModelInput")
class LanguageModelInput(Parameter):
    """A model that writes text."""

    outputs = {"output": "language_model"}

    value: LanguageModel = no_model("language_model")


@registry.register("nodetool.input.ImageModelInput")
class ImageModelInput(Parameter):
    """A model that makes pictures."""

    outputs = {"output": "image_model"}

    value: ImageModel = no_model("image_model")


@registry.register("nodetool.input.VideoModelInput")
class VideoModelInput(Parameter):
    """A model that makes videos."""

    outputs = {"output": "video_model"}

    value: VideoModel = no_model("video_model")


@registry.register("nodetool.input.TTSModelInput")
class TTSModelInput(Parameter):
    """A model that speaks."""

    outputs = {"output": "tts_model"}

    value: TtsModel = no_model("tts_model")


@registry.register("nodetool.input.ASRModelInput")
class ASRModelInput(Parameter):
    """A model that writes down what is spoken."""

    outputs = {"output": "asr_model"}

    value: AsrModel = no_model("asr_model")


@registry.register("nodetool.input.EmbeddingModelInput")
class EmbeddingModelInput(Parameter):
    """A model that turns text into vectors."""

    outputs = {"output": "embedding_model"}

    value: EmbeddingModel = no_model("embedding_model")


@registry.register("nodetool.input.HuggingFaceModelInput")
class HuggingFaceModelInput(Parameter):
    """A model of the Hugging Face hub."""

    outputs = {"output": "hf.model"}

    value: HuggingFaceModel = no_hugging_face_model()


@registry.register("nodetool.input.MessageInput")
class MessageInput(Parameter):
    """A chat message."""

    outputs = {"output": "message"}

    value: MessageValue = no_message()


@registry.register("nodetool.input.MessageListInput")
class MessageListInput(Parameter):
    """A chat history."""

    outputs = {"output": "list[message]"}

    value: list[MessageValue] = []
