"""What may be set over the API: names that editors know, and what they mean.

Bootstrap variables (addresses, authentication, databases) are not among them: they
come from the environment alone.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Kind = Literal["text", "url", "folder", "switch", "whole", "choice"]


class RegisteredSecret(NamedTuple):
    """A key of a provider. A user stores their own; else the environment's counts."""

    name: str
    group: str
    description: str


class RegisteredSetting(NamedTuple):
    """A process-wide setting.

    ``default`` is what counts where nobody has set it. ``is_live``: a change counts at
    once, not at the next start.
    """

    name: str
    group: str
    description: str
    kind: Kind = "text"
    default: Any = ""
    among: tuple[str, ...] = ()
    is_secret: bool = False
    is_live: bool = True


# Read from the environment alone; nothing that a graph asks for can have their names.
RESERVED_NAMES = frozenset({"SERVER_AUTH_TOKEN", "SECRETS_MASTER_KEY", "ADMIN_TOKEN"})
RESERVED_PREFIX = "SUPABASE_"

SECRETS = tuple(
    RegisteredSecret(name, vendor, f"API key for {vendor}")
    for name, vendor in (
        ("OPENAI_API_KEY", "OpenAI"),
        ("ANTHROPIC_API_KEY", "Anthropic"),
        ("GEMINI_API_KEY", "Gemini"),
        ("GROQ_API_KEY", "Groq"),
        ("MISTRAL_API_KEY", "Mistral"),
        ("OPENROUTER_API_KEY", "OpenRouter"),
        ("TOGETHER_API_KEY", "Together"),
        ("CEREBRAS_API_KEY", "Cerebras"),
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


def is_reserved(name: str) -> bool:
    """Tell whether a name belongs to the server's own keys."""
    return name in RESERVED_NAMES or name.startswith(RESERVED_PREFIX)
