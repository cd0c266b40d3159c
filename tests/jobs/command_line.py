"""The program as it is called, in this process."""

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from nodetool_site import cli


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON value on each line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class CommandLine:
    """Calls commands; ``noun`` is the first word of each."""

    noun: str
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    def __call__(self, *words: str, stdin: str = "") -> Outcome:
        text = io.TextIOWrapper(io.BytesIO(stdin.encode()))
        self.monkeypatch.setattr(sys, "stdin", text)
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([*self.noun.split(), *words])
        return Outcome(ended.value.code, *self.capsys.readouterr())
