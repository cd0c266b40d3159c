"""What must not come out of logs and errors does not, and all else does unharmed."""

import base64
import json
import logging
import time
from urllib.parse import quote

import pytest
from rest_framework.exceptions import APIException

from nodetool_site.lib import redaction
from nodetool_site.lib.errors import ApplicationError, BadRequest, describe_error
from nodetool_site.lib.known_values import KnownValues
from nodetool_site.lib.redaction import RedactingFormatter, redact, redact_shapes

JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0."
    "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
)
HEX = "9f86d081884c7d659a2feaa0c55ad015"

# A line, and what of it must not come out.
LINES = [
    ("using sk-abcdefghijklmnop1234", "abcdefghijklmnop1234"),
    ("using sk-proj-A1b2C3d4E5f6G7h8I9j0-_x", "A1b2C3d4E5f6G7h8"),
    ("key sk-ant-api03-Zx9Yw8Vu7Ts6Rq5Po4", "Zx9Yw8Vu7Ts6Rq5Po4"),
    ("key sk-or-v1-" + HEX, HEX),
    ("stripe sk_live_4eC39HqLyjWDarjtT1zdp7dc", "4eC39HqLyjWDarjtT1zdp7dc"),
    ("stripe rk_test_4eC39HqLyjWDarjtT1zdp7dc", "4eC39HqLyjWDarjtT1zdp7dc"),
    ("groq gsk_A1b2C3d4E5f6G7h8I9j0", "A1b2C3d4E5f6G7h8I9j0"),
    ("hugging face hf_AbCdEfGhIjKlMnOpQr", "AbCdEfGhIjKlMnOpQr"),
    ("replicate r8_AbCdEfGhIjKlMnOpQr", "AbCdEfGhIjKlMnOpQr"),
    ("github ghp_AbCdEfGhIjKlMnOpQr12", "AbCdEfGhIjKlMnOpQr12"),
    ("github github_pat_11AbCdEfGhIjKlMnOpQr", "11AbCdEfGhIjKlMnOpQr"),
    ("gitlab glpat-AbCdEfGhIjKlMnOpQr12", "AbCdEfGhIjKlMnOpQr12"),
    ("slack xoxb-123456789012-AbCdEfGhIjKl", "123456789012-AbCdEfGhIjKl"),
    ("aws AKIAIOSFODNN7EXAMPLE in use", "IOSFODNN7EXAMPLE"),
    ("google AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY", "SyD-9tSrke72PouQMnMX"),
    ("ours nt_AbCdEfGhIjKlMnOpQrStUv", "AbCdEfGhIjKlMnOpQrStUv"),
    (f"jwt {JWT} rejected", "eyJzdWIiOiIxMjM0NTY3ODkwIn0"),
    (f"cut jwt {JWT[:60]}", "eyJzdWIiOiIxMjM0NTY3"),
    ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
    ("authorization: bearer abc.def-ghi", "abc.def-ghi"),
    ("Authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
    ("Authorization: abcdefgh12345678", "abcdefgh12345678"),
    ("{'Authorization': 'Bearer abcdefgh12345678'}", "abcdefgh12345678"),
    ('{"authorization":"Bearer abcdefgh12345678"}', "abcdefgh12345678"),
    ("Proxy-Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("sent bearer 0123456789abcdef", "0123456789abcdef"),
    ("sent Bearer AbCdEfGhIjKlMnOpQrStUvWxYz", "AbCdEfGhIjKlMnOpQrStUvWxYz"),
    ("x-api-key: abcdef123456", "abcdef123456"),
    ("X-Api-Key: abcdef", "abcdef"),
    ("api-key: 0a1b2c3d", "0a1b2c3d"),
    ("X-Goog-Api-Key: abcdef123", "abcdef123"),
    ("X-Admin-Token: hunter2hunter2", "hunter2hunter2"),
    ("X-Auth-Token: hunter2hunter2", "hunter2hunter2"),
    ("Cookie: sessionid=abc123; csrftoken=def456", "abc123"),
    ("Set-Cookie: sessionid=abc123; Path=/", "abc123"),
    ("{'Cookie': 'sessionid=abc123'}", "abc123"),
    ("GET /v1?api_key=abcdef12345", "abcdef12345"),
    ("GET /v1?a=1&access_token=abcdef12345&b=2", "abcdef12345"),
    ("GET /v1?token=abcdef12345", "abcdef12345"),
    ("GET /v1beta/models?key=a1b2c3d4e5f6g7h8", "a1b2c3d4e5f6g7h8"),
    ("GET /f?X-Amz-Signature=" + HEX, HEX),
    ("GET /f?X-Amz-Credential=AKIDEXAMPLE/20250101", "AKIDEXAMPLE"),
    ("GET /f?sig=abc%2Bdef%3D&se=1", "abc%2Bdef"),
    ("api_key=abcdef12345", "abcdef12345"),
    ("apikey=abcdef12345", "abcdef12345"),
    ("OPENAI_API_KEY=abcdef12345", "abcdef12345"),
    ("OPENAI_API_KEY='abc def'", "abc"),
    ('api_key="abcdef12345"', "abcdef12345"),
    ("Client(api_key='abcdef12345', timeout=3)", "abcdef12345"),
    ("client_secret=abcdef12345", "abcdef12345"),
    ("secret=abcdef12345", "abcdef12345"),
    ("SECRET_KEY=abcdef12345", "abcdef12345"),
    ("secret_key = abcdef12345", "abcdef12345"),
    ("SECRETS_MASTER_KEY=abcdef12345", "abcdef12345"),
    ("private_key=abcdef12345", "abcdef12345"),
    ("aws_secret_access_key=abcdef12345", "abcdef12345"),
    ("password=hunter22", "hunter22"),
    ("PASSWORD=hunter22", "hunter22"),
    ("db_password=hunter22", "hunter22"),
    ("passwd=hunter22", "hunter22"),
    ("pwd=hunter22", "hunter22"),
    ("passphrase=hunter22", "hunter22"),
    ("password = 'hunter22'", "hunter22"),
    ('{"password": "hunter22"}', "hunter22"),
    ("{'password': 'hunter22'}", "hunter22"),
    ('{"api_key":"abcdef12345"}', "abcdef12345"),
    ('{"OPENAI_API_KEY": "abcdef12345"}', "abcdef12345"),
    ('{"auth_token": "abcdef12345", "a": 1}', "abcdef12345"),
    ('{"client_secret": "abcdef12345"}', "abcdef12345"),
    ('{"refresh_token": "abcdef12345"}', "abcdef12345"),
    ("credentials=abcdef12345", "abcdef12345"),
    ("postgres://nodetool:hunter22@db:5432/app", "hunter22"),
    ("postgresql://u:p%40ss@db/app down", "p%40ss"),
    ("redis://:hunter22@cache:6379/0", "hunter22"),
    ("amqp://guest:hunter22@mq//", "hunter22"),
    ("https://user:pa@ss@host/x", "pa@ss"),
    ("https://ghx_token1234@github.com/a/b", "ghx_token1234"),
    ("cannot reach 'https://u:hunter22@host/'", "hunter22"),
    ("HTTPS://U:HUNTER22@HOST/", "HUNTER22"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----", "MIIEvQ"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIEvQ", "MIIEvQ"),
]
# What people write and programs log every day.
CONTROLS = [
    "GET /health 200 0.3ms user=- id=-",
    "POST /api/workflows/ 200 3.1ms user=1 id=4b1f5c",
    "PUT /api/settings/secrets/OPENAI_API_KEY 200 3.1ms user=1 id=9",
    "Authorization header required. Use 'Authorization: Bearer <token>'.",
    "Invalid static token",
    "Invalid Supabase token",
    "Admin token required. Use X-Admin-Token header.",
    "Token: see SERVER_AUTH_TOKEN",
    "the bearer of this letter is authorised",
    "Bearer authentication failed",
    "basic usage of the key ring",
    "max_tokens=4096",
    "max_tokens: 4096, total_tokens: 12",
    "tokens=128 prompt_tokens=12",
    "token=None",
    "token is missing: set SERVER_AUTH_TOKEN",
    "api_key=***",
    "api_key=<your key>",
    "api_key=${OPENAI_API_KEY}",
    "password=required",
    "password: must be at least 8 characters",
    "Secret 'OPENAI_API_KEY' stored for user 1.",
    "Secret 'KEY' not found for user 1",
    "ENV=production needs SECRETS_MASTER_KEY",
    "key=value",
    "key=name, value=3",
    "KeyError: 'key'",
    "UNIQUE constraint failed: storage_secret.owner_id, storage_secret.key",
    "primary key=5",
    "keys: a, b, c",
    "monkey=banana",
    "sk-learn is a library",
    "task-scheduler-with-a-long-name",
    "desk-booking-for-everyone-here",
    "ask-me-anything-about-graphs",
    "https://example.com/path?x=1",
    "https://example.com/@user/post",
    "http://127.0.0.1:7777/api/jobs/?limit=5",
    "mail me at me@example.com",
    "see https://example.com or me@example.com",
    "ssh git@github.com:a/b.git",
    "secretary=Ann",
    "the secret of good soup",
    "a cookie is a biscuit",
    "signature of the function: f(x)",
    "significant=yes",
    "design=modern",
    "job 9f86d081884c7d659a2feaa0c55ad015 failed in the server",
    "Worker lost while running node 'Fetch' (attempt 1 of 1)",
    "Timed out after 3600 s (JOB_TIME_LIMIT)",
    "node.property: message; cure",
    "eyJ is how JSON in base64 begins",
    "the ghost in the machine",
    "[Template] Invalid value for property 'keys': not a list",
    "Ein Schlüssel öffnet die Tür: 鍵 🔑",
    '{"type": "log_update", "content": "token by token"}',
]


def test_s02_the_corpus_is_wide():
    assert len(LINES) + len(CONTROLS) >= 100
    assert len({line for line, _ in LINES}) == len(LINES)


@pytest.mark.parametrize(("line", "hidden"), LINES)
def test_s02_a_credential_is_masked_by_its_shape(line, hidden):
    shown = redact_shapes(line)

    assert hidden in line
    assert hidden not in shown
    assert "***" in shown


@pytest.mark.parametrize("line", CONTROLS)
def test_s02_ordinary_text_passes_unharmed(line):
    assert redact_shapes(line) == line


@pytest.mark.parametrize(("line", "hidden"), LINES)
def test_masking_twice_changes_nothing(line, hidden):
    assert redact_shapes(redact_shapes(line)) == redact_shapes(line)


# --- Known values

VALUE = 'Tr0ub4dor&3 "quoted" \\ ünïcode/+end'


def knowing(*values: str) -> KnownValues:
    known = KnownValues()
    for value in values:
        known.learn(value)
    return known


def forms(value: str) -> dict[str, str]:
    raw = value.encode()
    return {
        "plain": value,
        "reversed": value[::-1],
        "url": quote(value, safe=""),
        "json": json.dumps(value)[1:-1],
        "json utf-8": json.dumps(value, ensure_ascii=False)[1:-1],
        "hex": raw.hex(),
        **{
            f"base64 after {n}": base64.b64encode(b"x" * n + raw).decode()[n and 4 :]
            for n in range(4)
        },
        "url-safe base64": base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }


@pytest.mark.parametrize("form", forms(VALUE))
@pytest.mark.parametrize("around", ["", "a", "ab", "abc", "abcd", "ä"])
def test_s02_a_known_value_is_found_in_every_form(form, around):
    text = forms(VALUE)[form]

    shown = knowing(VALUE).mask(f"{around}{text}{around}")

    assert_no_part(text, shown)
    assert shown.startswith(around)


def assert_no_part(text: str, shown: str) -> None:
    assert not any(text[i : i + 12] in shown for i in range(len(text) - 11))


@pytest.mark.parametrize("size", [12, 13, 20])
def test_s02_a_part_of_twelve_characters_is_found_anywhere(size):
    value = "abcdefghijklmnopqrstuvwxyz0123456789"
    known = knowing(value)

    for start in range(len(value) - size + 1):
        for lead in ("", ".", "..", "..."):
            part = value[start : start + size]
            assert known.mask(f"{lead}{part}!") == f"{lead}***!"


def test_what_is_shorter_than_a_window_is_no_part():
    known = knowing("abcdefghijklmnopqrstuvwxyz0123456789")

    assert known.mask("abcdefghijk, 23456789") == "abcdefghijk, 23456789"


def test_a_short_value_is_found_whole_and_a_very_short_one_is_left():
    known = knowing("12345678", "secret")

    assert known.mask("a 12345678 b 1234567 secret") == "a *** b 1234567 secret"


def test_several_values_in_one_text():
    known = knowing("first-value-1234", "second-value-567")

    shown = known.mask("<first-value-1234><second-value-567>first-value-1234")

    assert shown == "<***><***>***"


def test_a_value_that_begins_in_what_was_told_before_is_masked_from_there_on():
    data = b"0123456789abcdefghij tail"

    assert knowing("0123456789abcdefghij").mask_bytes(data, shown=8) == b"*** tail"


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr("nodetool_site.lib.known_values.MAX_WINDOWS", 500)
    known = knowing(*(f"value number {n:06}, of many" for n in range(50)))

    assert sum(len(found) for found in known._windows.values()) <= 500
    assert known.mask("value number 000049, of many") == "***"


def test_a_long_text_without_a_secret_is_passed_in_little_time():
    text = "The quick brown fox jumps over the lazy dog. " * 100_000
    known = knowing(VALUE, "another-value-0123456789")

    begun = time.process_time()
    shown = known.mask(text)

    assert shown == text
    assert time.process_time() - begun < 1.0  # 4.5 MB; measured 0.03


def test_a_text_full_of_pieces_of_a_secret_costs_little_more():
    known = knowing("abcdefghijklmnopqrstuvwxyz")

    begun = time.process_time()
    known.mask("abcd " * 100_000)

    assert time.process_time() - begun < 2.0


@pytest.mark.parametrize(
    "unit",
    [
        "a-", "a_", "sk-", "eyJ", "bearer ", "token=", "key=", "://", "://a", "cookie:",
        "authorization: ", '"password": ', "x-token:", "-----BEGIN PRIVATE KEY-----",
        "sk-a", "\"token'", "basic aaaaaaaa ", "api_", "password = ",
    ],
)  # fmt: skip
def test_a_line_that_is_made_to_hurt_takes_no_longer(unit):
    line = unit * (60_000 // len(unit)) + " key"

    begun = time.process_time()
    redact_shapes(line)

    assert time.process_time() - begun < 2.0  # measured: 0.1 at most


# --- The log


def line_of(message: str, *args: object, error: Exception | None = None) -> str:
    info = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord("n", logging.ERROR, "f", 1, message, args, info)
    return RedactingFormatter("%(message)s").format(record)


def test_s02_the_log_hides_arguments_and_tracebacks():
    value = "correct-horse-battery-staple"
    redaction.learn(value)
    try:
        raise ValueError(f"the provider said: {value}")
    except ValueError as error:
        line = line_of("failed with %s", {"a": value}, error=error)

    assert value not in line
    assert "Traceback" in line
    assert line.startswith("failed with {'a': '***'}")


def test_s02_every_handler_of_the_settings_hides(settings):
    for handler in settings.LOGGING["handlers"].values():
        formatter = settings.LOGGING["formatters"][handler["formatter"]]
        assert formatter["()"].endswith("RedactingFormatter")


def test_redact_knows_both():
    redaction.learn("another-horse-battery-staple")

    assert redact("a=another-horse-battery-staple token=abcdefgh1") == "a=*** token=***"


@pytest.mark.parametrize("kind", [ApplicationError, BadRequest, APIException])
def test_s02_errors_that_go_out_are_redacted(kind):
    error = kind("cannot reach https://user:hunter22@host with token=abcdefgh1")

    answer = describe_error(error)

    assert answer.body["detail"] == "cannot reach https://***@host with token=***"
