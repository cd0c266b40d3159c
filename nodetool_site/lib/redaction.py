"""Hides secrets in logs and error texts, whatever wrote them there.

Two nets: values that this process has held (``learn``), also in parts and encoded, and
the shapes that credentials have. Imports no Django: the log is set up before it is.
"""

from __future__ import annotations

import logging
import re

from nodetool_site.lib.known_values import MIN_LENGTH, KnownValues

MASK = "***"
known = KnownValues()
"""Every value that this process has stored or revealed, or was configured with."""

# A text that holds none of these has no credential's shape. In lower case.
_HINTS = (
    "://",
    "eyj",
    "bearer",
    "basic ",
    "key",
    "secret",
    "token",
    "pass",
    "pwd",
    "sig",
    "cookie",
    "authorization",
    "credential",
    "sk-",
    "sk_",
    "pk-",
    "pk_",
    "rk-",
    "rk_",
    "nt_",
    "hf_",
    "r8_",
    "gsk_",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xox",
    "akia",
    "asia",
    "aiza",
)
_TOKEN = r"[A-Za-z0-9._~+/=-]"  # noqa: S105 - a pattern
# A value in a text that is no placeholder, mask, number of few digits or plain word.
_VALUE = (
    r"(?![<{$*\[]|(?:true|false|null|none|unset|set|missing|required|invalid)\b"
    r"|\d{1,9}(?!\w))[^\s\"'&,;)}\]\\]{4,}"
)
_QUOTED = r"'[^']+'|\"[^\"]+\""
_NAMES = (
    r"(?<![A-Za-z])(?:api[_-]?key|access[_-]?key(?:[_-]?id)?|secret(?:[_-]?key)?"
    r"|private[_-]?key|master[_-]?key|token|password|passwd|passphrase|pwd|signature"
    r"|sig|credentials?)"
)
# Every part has a bound or a literal beginning: a line may be long, and made to hurt.
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # -----BEGIN PRIVATE KEY----- ...
        (
            r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)[\s\S]*?(-----END|\Z)",
            rf"\1{MASK}\2",
        ),
        # scheme://user:password@host
        (r"(://)[^\s/?#\"'<>]+@", rf"\1{MASK}@"),
        # JSON web tokens
        (r"eyJ[\w-]{5,600}\.[\w-]{5,}(?:\.[\w-]*)?", MASK),
        # Header: value
        (
            r"(?i)\b((?:set-)?cookie[\"']?\s*+[:=]\s*+[\"']?+)(?![<*])[^\"'\r\n]+",
            rf"\1{MASK}",
        ),
        (
            r"(?i)\b(authorization[\"']?\s*+[:=]\s*+[\"']?+(?:[a-z]{1,20}+\s++)?+)"
            rf"(?![<*{{$]){_TOKEN}{{4,}}",
            rf"\1{MASK}",
        ),
        (
            r"(?i)(?<![A-Za-z])((?:api-key|[a-z]{1,20}-token)\s*:\s*)"
            r"(?![<*])[^\s\"',;]+",
            rf"\1{MASK}",
        ),
        # Bearer abc
        (
            r"(?i)\b((?:bearer|basic)\s+)"
            rf"(?={_TOKEN}{{0,200}}\d|{_TOKEN}{{24}}){_TOKEN}{{8,}}",
            rf"\1{MASK}",
        ),
        # Keys whose makers begin them alike
        (
            r"\b(?:sk|pk|rk)[-_](?=[\w-]{0,80}\d)[\w-]{16,}"
            r"|\b(?:nt_|hf_|r8_|gsk_|gh[opsur]_|github_pat_|glpat-|xox[abeprs]-)[\w-]{16,}"
            r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}",
            MASK,
        ),
        # api_key=abc, "password": "abc"
        (rf"(?i)({_NAMES}[\"']?\s*+=\s*+)(?:{_QUOTED}|{_VALUE})", rf"\1{MASK}"),
        (rf"(?i)({_NAMES}[\"']\s*+:\s*+)(?:{_QUOTED})", rf'\1"{MASK}"'),
        # ?key=abc
        (r"(?i)(\bkey=)(?=[\w-]{0,80}\d)[\w-]{16,}", rf"\1{MASK}"),
    )
)


def unmaskable(value: str) -> str:
    """Return what its owner should know of a value that is too short, "" if none is."""
    if len(value.encode()) >= MIN_LENGTH:
        return ""
    return (
        f"A value of under {MIN_LENGTH} characters cannot be told from other text: it "
        "is not masked where runs and logs show it."
    )


def learn(value: str) -> None:
    """Hide this value in everything that is logged or refused from now on."""
    known.learn(value)


def redact(text: str) -> str:
    """Return a text for logs or for people, without what must not come out."""
    return redact_shapes(known.mask(text))


def redact_shapes(text: str) -> str:
    """Mask what looks like a credential, whoever's it is."""
    lowered = text.lower()
    if not any(hint in lowered for hint in _HINTS):
        return text
    for pattern, replacement in _SHAPES:
        text = pattern.sub(replacement, text)
    return text


class RedactingFormatter(logging.Formatter):
    """Formats a line, its traceback included, and hides what must not come out.

    Not a filter: a filter sees neither the finished text nor the traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return redact(super().format(record))
