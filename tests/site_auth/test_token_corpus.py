"""H-09: hundreds of tokens under every way to check them, with controls that pass.

Each case is a token and whether it must open the server; a case counts four times:
with the project's secret, with its public keys, with both, and with neither, where the
project itself is asked.
"""

import json
import time
from collections.abc import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nodetool_site.auth import AuthenticationFailed, authenticate
from storage.api_tokens import verified_tokens
from storage.failed_attempts import failed_attempts
from storage.models import User
from tests.supabase_stub import (
    ALICE,
    KEY_IDS,
    SECRET,
    StubSupabase,
    part,
    private_key,
    public_jwk,
)

pytestmark = pytest.mark.django_db(transaction=True)

MODES = {
    "secret": {"secret": True},
    "keys": {"key_set": True},
    "both": {"secret": True, "key_set": True},
    "remote": {},
}
ALGORITHMS = ("HS256", "ES256", "RS256")
NOW = int(time.time())
Case = tuple[str, str, bool]


def claim_cases(stub: StubSupabase, algorithm: str) -> Iterator[Case]:
    """Tokens that are signed as they must be and say something else."""
    wrong = {
        "iss": [
            *(..., None, "", 1, [stub.issuer], stub.url, f"{stub.issuer}/"),
            *(stub.issuer.upper(), stub.issuer.replace("http", "https")),
            *("https://evil.example/auth/v1", f"{stub.issuer}@evil.example"),
        ],
        "aud": [
            *(..., None, "", 1, [], "anon", "Authenticated", "authenticated "),
            *(["authenticated", "other"], ["other"], {"authenticated": True}),
        ],
        "role": [
            *(..., None, "", 1, "anon", "service_role", "authenticated "),
            *("AUTHENTICATED", ["authenticated"], "supabase_admin"),
        ],
        "sub": [
            *(..., None, "", 1, "1", "admin", ALICE.replace("-", ""), f"{{{ALICE}}}"),
            *(f"urn:uuid:{ALICE}", f"{ALICE}\n", f" {ALICE}", f"{ALICE}0", ALICE[:-1]),
            *([ALICE], "../../etc/passwd", "' OR 1=1 --", f"{ALICE}\0"),
            "\u0660" * 8 + ALICE[8:],
        ],
        "exp": [
            *(..., None, "", "9999999999", 0, -1, NOW - 60, True, [], {}),
            *(NOW - 3_600, [NOW + 60], NOW - 60.5),
        ],
        "iat": [..., None, "now", NOW + 3_600, True, [NOW]],
        "nbf": [NOW + 3_600, "soon", [], True],
    }
    for name, values in wrong.items():
        for value in values:
            label = f"{name}={'absent' if value is ... else repr(value)}"
            yield label, stub.token(algorithm=algorithm, **{name: value}), False
    right = {
        "just over, within the leeway": {"exp": int(time.time()) - 2},
        "a clock ahead, within the leeway": {"iat": int(time.time()) + 5},
        "times with a fraction": {"exp": NOW + 3600.5, "iat": NOW - 1.25},
        "a list of the one audience": {"aud": ["authenticated"]},
        "an upper-case subject": {"user_id": ALICE.upper()},
        "nbf that has come": {"nbf": NOW - 60},
        "no e-mail": {"email": ...},
        "an empty e-mail": {"email": ""},
        "a null e-mail": {"email": None},
        "more claims": {"aal": "aal1", "amr": [{"method": "otp"}], "phone": ""},
        "far away": {"exp": NOW + 10**9},
    }
    for label, claims in right.items():
        yield label, stub.token(algorithm=algorithm, **claims), True


def header_cases(stub: StubSupabase, algorithm: str) -> Iterator[Case]:
    """Tokens whose header leads elsewhere."""
    claims = stub.claims()

    def made(**header):
        return stub.sign(claims, algorithm, header=header)

    for name in ("none", "None", "NONE", "nOnE", "", "HS384", "HS512", "ES384"):
        yield f"alg={name}", made(alg=name), False
    for name in ("ES256K", "PS256", "RS512", "EdDSA", "dir", algorithm.lower()):
        yield f"alg={name}", made(alg=name), False
    for value in (..., None, 1, ["HS256"], {"a": 1}, True):
        yield f"alg={value!r}", made(alg=value), False
    for other in {*ALGORITHMS} - {algorithm}:
        yield f"alg={other}", made(alg=other), False
        kid = KEY_IDS.get(other, ...)
        yield f"alg={other} and its kid", made(alg=other, kid=kid), False
    yield "crit", made(crit=["exp"]), False
    yield "crit b64", made(crit=["b64"], b64=False), False
    yield "b64", made(b64=False), False
    yield "no typ", made(typ=...), True
    yield "typ in lower case", made(typ="jwt"), True
    elsewhere = f"{stub.url}/evil/jwks.json"
    yield "jku of others, own signature", made(jku=elsewhere), True
    yield "x5u of others, own signature", made(x5u=elsewhere), True
    if algorithm in KEY_IDS:
        for kid in (..., None, "", 1, ["es-1"], "unknown", "../es-1", "es-1\0", "ES-1"):
            yield f"kid={kid!r}", made(kid=kid), False
        yield from forged_cases(stub, algorithm, elsewhere)


def forged_cases(stub: StubSupabase, algorithm: str, elsewhere: str) -> Iterator[Case]:
    """Tokens that an attacker's own key signed."""
    claims, own = stub.claims(), private_key(algorithm, "attacker")
    jwk = public_jwk(algorithm, "evil", "attacker")
    for label, header in {
        "own key": {},
        "own key, jku": {"jku": elsewhere},
        "own key, x5u": {"x5u": elsewhere},
        "own key, jwk": {"jwk": jwk},
        "own key, jwk and kid": {"jwk": jwk, "kid": "evil"},
        "own key, x5c": {"x5c": ["MIIB"]},
        "own key, kid with address": {"kid": elsewhere},
    }.items():
        yield label, stub.sign(claims, algorithm, key=own, header=header), False


def signature_cases(stub: StubSupabase, algorithm: str) -> Iterator[Case]:
    """Good tokens, changed; and shapes that are none."""
    good = stub.token(algorithm=algorithm)
    head, payload, signature = good.split(".")
    other = part(stub.claims(sub=str(ALICE).replace("a11ce", "b0bb0")))
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    yield "as it is", good, True
    for label, text in {
        "another payload": f"{head}.{other}.{signature}",
        "another signature": f"{head}.{payload}.{flipped}",
        "no signature": f"{head}.{payload}.",
        "two parts": f"{head}.{payload}",
        "one part": head,
        "four parts": f"{good}.{signature}",
        "five parts": f"{head}.{head}.{head}.{payload}.{signature}",
        "an empty payload": f"{head}..{signature}",
        "an empty header": f".{payload}.{signature}",
        "a short signature": f"{head}.{payload}.{signature[:-4]}",
        "a long signature": f"{head}.{payload}.{signature}AAAA",
        "padding": f"{good}==",
        "a payload that is a list": stub.sign([1, 2], algorithm),
        "a payload that is text": stub.sign("x", algorithm),
        "a payload that is null": stub.sign(None, algorithm),
        "a payload that is no JSON": stub.sign(b"{", algorithm),
        "a payload that is no UTF-8": stub.sign(b'{"sub": "\xff"}', algorithm),
        "a payload of depth": stub.sign(b"[" * 5_000, algorithm),
        "a header that is a list": f"{part([1])}.{payload}.{signature}",
        "a header that is no JSON": f"{part(b'x')}.{payload}.{signature}",
        "another alphabet": good.replace("-", "+").replace("_", "/") + "+",
        "too long": stub.token(algorithm=algorithm, filler="x" * 9_000),
        "the prefix of a token of ours": f"nt_{good}",
        "dots": "..",
        "nothing of the kind": "hello",
        "a static token's beginning": "a-static-token",
    }.items():
        yield label, text, False


def confusion_cases(stub: StubSupabase) -> Iterator[Case]:
    """HS256 over what everybody may know."""
    claims = stub.claims()
    secrets = {
        "an empty secret": b"",
        "a null byte": b"\0",
        "the url": stub.url.encode(),
    }
    for algorithm, kid in KEY_IDS.items():
        key = private_key(algorithm).public_key()
        jwk = public_jwk(algorithm, kid)
        secrets |= {
            f"{algorithm} as PEM": key.public_bytes(
                serialization.Encoding.PEM,
                serialization.PublicFormat.SubjectPublicKeyInfo,
            ),
            f"{algorithm} as DER": key.public_bytes(
                serialization.Encoding.DER,
                serialization.PublicFormat.SubjectPublicKeyInfo,
            ),
            f"{algorithm} as JWK": json.dumps(jwk).encode(),
            f"{algorithm} x or n": jwk["x" if "x" in jwk else "n"].encode(),
            f"{algorithm} kid": kid.encode(),
        }
    secrets["the anon key"] = b"the-anon-key"
    secrets["half of the secret"] = SECRET[:20].encode()
    secrets["the secret and a newline"] = f"{SECRET}\n".encode()
    for label, secret in secrets.items():
        yield f"HS256 with {label}", stub.sign(claims, key=secret), False
        for kid in KEY_IDS.values():
            token = stub.sign(claims, key=secret, header={"kid": kid})
            yield f"HS256 with {label}, kid {kid}", token, False
    large = ec.generate_private_key(ec.SECP384R1())
    token = jwt.encode(claims, large, "ES384", headers={"kid": "es-1"})
    yield "ES384 of another curve", token, False


def corpus(stub: StubSupabase) -> Iterator[tuple[str, Case]]:
    """Every case, made when it is asked for: some are a matter of seconds."""
    for algorithm in ALGORITHMS:
        for family in (claim_cases, header_cases, signature_cases):
            for case in family(stub, algorithm):
                yield algorithm, case
    for case in confusion_cases(stub):
        yield "HS256", case


async def decide(token: str) -> bool:
    """Whether the token opens the server, and then as alice."""
    failed_attempts.clear()
    headers = [(b"authorization", b"Bearer " + token.encode())]
    try:
        identity = await authenticate(headers, allow_query=False, address="10.1.1.1")
    except AuthenticationFailed:
        return False
    assert identity.user_id == ALICE
    assert not identity.is_staff
    return True


@pytest.mark.parametrize("mode", MODES)
async def test_h09_every_token_is_judged_rightly(project, mode):
    stub = project(**MODES[mode])
    wrong = []
    count, controls = 0, 0

    for algorithm, (label, token, right) in corpus(stub):
        count += 1
        controls += right
        verified_tokens.clear()
        # Without its secret nobody here can check one, and public keys are to be used.
        right &= not (mode == "keys" and algorithm == "HS256")
        if await decide(token) is not right:
            wrong.append(f"{algorithm} {label}: must be {right}")

    assert not wrong, "\n".join(wrong)
    assert count > 300
    assert controls >= 45
    assert {path for path in stub.requests if "evil" in path} == set()
    assert [user.pk async for user in User.objects.all()] == [ALICE]
