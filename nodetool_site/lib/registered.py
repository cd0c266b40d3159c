"""What may be set over the API: names that editors know, and what they mean.

Bootstrap variables (addresses, authentication, databases) are not among them: they
come from the environment alone.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["text", "url", "folder", "switch", "whole", "choice"]


class RegisteredSecret(NamedTuple):
    """A key of a provider. A user stores their own; else the environment's counts."""

    name: str
    group: str
    description: str


class RegisteredSetting(NamedTuple):
    """A process-wide setting.

    ``is_live``: a change counts at once in the process that takes it, not at the next
    start. A secret one is kept with the secrets of user 1.
    """

    name: str
    group: str
    description: str
    kind: Kind = "text"
    among: tuple[str, ...] = ()
    is_secret: bool = False
    is_live: bool = True


# Read from the environment alone; nothing that a graph asks for can have their names.
RESERVED_NAMES = frozenset({"SERVER_AUTH_TOKEN", "SECRETS_MASTER_KEY", "ADMIN_TOKEN"})
RESERVED_PREFIX = "SUPABASE_"

SECRETS = tuple(
    RegisteredSecret(name, "LLM", f"API key for {vendor}")
    for name, vendor in (
        ("OPENAI_API_KEY", "OpenAI"),
        ("ANTHROPIC_API_KEY", "Anthropic"),
        ("GEMINI_API_KEY", "Gemini"),
        ("GROQ_API_KEY", "Groq"),
        ("MISTRAL_API_KEY", "Mistral"),
        ("OPENROUTER_API_KEY", "OpenRouter"),
        ("TOGETHER_API_KEY", "Together"),
        ("CEREBRAS_API_KEY", "Cerebras"),
        ("DEEPSEEK_API_KEY", "DeepSeek"),
        ("MINIMAX_API_KEY", "MiniMax"),
        ("HF_TOKEN", "Hugging Face"),
        ("REPLICATE_API_TOKEN", "Replicate"),
        ("FAL_API_KEY", "fal.ai"),
        ("ELEVENLABS_API_KEY", "ElevenLabs"),
        ("ZHIPU_API_KEY", "Zhipu"),
        ("KIE_API_KEY", "Kie"),
        ("AIME_API_KEY", "AIME"),
    )
)
SECRET_NAMES = frozenset(secret.name for secret in SECRETS)

_AT_START = "Counts from the next start on."
SETTINGS = tuple(
    sorted(
        (
            RegisteredSetting(
                "ASSET_FOLDER",
                "Folders",
                f"Where stored files lie. {_AT_START}",
                kind="folder",
                is_live=False,
            ),
            RegisteredSetting(
                "ASSET_BUCKET",
                "Folders",
                f"With S3: the bucket of assets. {_AT_START}",
                is_live=False,
            ),
            RegisteredSetting(
                "ASSET_TEMP_BUCKET",
                "Folders",
                f"With S3: the bucket of temporary data. {_AT_START}",
                is_live=False,
            ),
            RegisteredSetting(
                "ASSET_DOMAIN",
                "Folders",
                "The address that links to stored files begin with.",
                kind="url",
            ),
            RegisteredSetting(
                "ASSET_TEMP_DOMAIN",
                "Folders",
                "The address that links to temporary data begin with.",
                kind="url",
            ),
            RegisteredSetting(
                "S3_ENDPOINT_URL",
                "S3",
                f"Keep files on this S3-speaking server. {_AT_START}",
                kind="url",
                is_live=False,
            ),
            RegisteredSetting(
                "S3_REGION", "S3", f"Its region. {_AT_START}", is_live=False
            ),
            RegisteredSetting(
                "S3_ACCESS_KEY_ID",
                "S3",
                f"The id of its access key. {_AT_START}",
                is_secret=True,
                is_live=False,
            ),
            RegisteredSetting(
                "S3_SECRET_ACCESS_KEY",
                "S3",
                f"Its access key. {_AT_START}",
                is_secret=True,
                is_live=False,
            ),
            RegisteredSetting(
                "AUTOSAVE_ENABLED",
                "Autosave",
                "Whether an editor saves by itself.",
                kind="switch",
            ),
            RegisteredSetting(
                "AUTOSAVE_INTERVAL_MINUTES",
                "Autosave",
                "How often an editor saves by itself.",
                kind="whole",
            ),
            RegisteredSetting(
                "AUTOSAVE_MIN_INTERVAL_SECONDS",
                "Autosave",
                "An autosave sooner than this is skipped.",
                kind="whole",
            ),
            RegisteredSetting(
                "AUTOSAVE_MAX_VERSIONS_PER_WORKFLOW",
                "Autosave",
                "How many autosaves of a workflow are kept.",
                kind="whole",
            ),
            RegisteredSetting(
                "AUTOSAVE_KEEP_DAYS",
                "Autosave",
                "How long autosaves are kept.",
                kind="whole",
            ),
            RegisteredSetting(
                "JOB_EXECUTION_STRATEGY",
                "Execution",
                "A hint that is stored with a job and echoed.",
                kind="choice",
                among=("threaded", "subprocess", "docker"),
            ),
        ),
        key=lambda setting: (setting.group, setting.name),
    )
)


def is_reserved(name: str) -> bool:
    """Tell whether a name belongs to the server's own keys."""
    return name in RESERVED_NAMES or name.startswith(RESERVED_PREFIX)
