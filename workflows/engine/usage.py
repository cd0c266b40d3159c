"""What a run has used up at providers of models."""

from __future__ import annotations


class UsageTally:
    """The tokens of all calls of models in one run, summed.

    ``tool_calls``: how many tools its agents have called, for those who bound that.
    """

    def __init__(self) -> None:
        self.tool_calls = 0
        self._calls = 0
        self._prompt = 0
        self._completion = 0

    def add(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Count one call."""
        self._calls += 1
        self._prompt += prompt_tokens
        self._completion += completion_tokens

    def document(self) -> dict[str, int] | None:
        """Return the sums under OpenAI's names; None where no model was called."""
        if not self._calls:
            return None
        return {
            "prompt_tokens": self._prompt,
            "completion_tokens": self._completion,
            "total_tokens": self._prompt + self._completion,
        }
