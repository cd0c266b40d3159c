"""A Supabase project as far as sign-in goes: its keys, and the two addresses asked."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

SECRET = "a-secret-of-the-project-of-more-than-32-bytes"
API_KEY = "the-anon-key"
ALICE, BOB = str(uuid.UUID(int=0xA11CE)), str(uuid.UUID(int=0xB0B))
KEY_IDS = {"ES256": "es-1", "RS256": "rs-1"}


def private_key(algorithm: str, name: str = "first") -> Any:
    """A key pair's private half, made once for all tests."""
    return _made_key(algorithm, name)


@lru_cache(maxsize=8)
def _made_key(algorithm: str, name: str) -> Any:
    del name
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(algorithm: str, key_id: str, name: str = "first") -> dict[str, Any]:
    kind = RSAAlgorithm if algorithm == "RS256" else ECAlgorithm
    key = private_key(algorithm, name).public_key()
    jwk = json.loads(kind.to_jwk(key))
    return {**jwk, "kid": key_id, "alg": algorithm, "use": "sig"}


def part(value: Any) -> str:
    """One part of a token: JSON, or bytes as they are."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class StubSupabase:
    """The server, in a thread. ``requests`` counts what it was asked, by path."""

    keys: list[dict[str, Any]] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    revoked: set[str] = field(default_factory=set)
    status: int = 0  # answer everything with it
    delay_s: float = 0.0
    body: bytes | None = None

    def __post_init__(self) -> None:
        stub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body = stub._answer(self.path, self.headers)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"{stub.url}/elsewhere")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.issuer = f"{self.url}/auth/v1"
        self.keys = self.keys or [public_jwk(a, k) for a, k in KEY_IDS.items()]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    # --- what the project issues

    def claims(self, user_id: str = ALICE, **more: Any) -> dict[str, Any]:
        """A user's claims; a value of ``...`` leaves one out."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "authenticated",
            "role": "authenticated",
            "sub": user_id,
            "iat": now - 5,
            "exp": now + 3_600,
            "email": f"{user_id[:8]}@example.org",
            "app_metadata": {"provider": "email"},
            "session_id": str(uuid.UUID(int=7)),
            **more,
        }
        return {name: value for name, value in claims.items() if value is not ...}

    def token(
        self,
        user_id: str = ALICE,
        algorithm: str = "HS256",
        *,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A token as the project signs it."""
        return self.sign(self.claims(user_id, **claims), algorithm, header=header)

    def sign(
        self,
        claims: Any,
        algorithm: str = "HS256",
        *,
        key: Any = None,
        header: dict[str, Any] | None = None,
    ) -> str:
        """Any payload under any header, signed by ``key`` or the project's own.

        By hand, because libraries refuse to make what attackers make. The signature
        is that of ``algorithm``, whatever the header says.
        """
        own = {"alg": algorithm, "typ": "JWT"}
        if algorithm in KEY_IDS:
            own["kid"] = KEY_IDS[algorithm]
        whole = {**own, **(header or {})}
        whole = {name: value for name, value in whole.items() if value is not ...}
        text = f"{part(whole)}.{part(claims)}"
        if key is None:
            key = SECRET if algorithm[:2] == "HS" else private_key(algorithm)
        method = jwt.get_algorithm_by_name(algorithm)
        if isinstance(key, bytes):
            # No library signs with a public key's text any more.
            import hashlib
            import hmac

            signature = hmac.digest(key, text.encode(), hashlib.sha256)
        else:
            signature = method.sign(text.encode(), method.prepare_key(key))
        return f"{text}.{part(signature)}"

    # --- what it answers

    def _answer(self, path: str, headers: Any) -> tuple[int, bytes]:
        self.requests[path] += 1
        time.sleep(self.delay_s)
        if self.status:
            return self.status, b"{}"
        if self.body is not None:
            return 200, self.body
        if path == "/auth/v1/.well-known/jwks.json":
            return 200, json.dumps({"keys": self.keys}).encode()
        if path != "/auth/v1/user":
            return 404, b"{}"
        if headers.get("apikey") != API_KEY:
            return 401, b'{"message": "Invalid API key"}'
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            user_id = self._verified(token)
        except (jwt.PyJWTError, ValueError, KeyError):
            return 403, b'{"error_code": "bad_jwt"}'
        return 200, json.dumps({"id": user_id, "aud": "authenticated"}).encode()

    def _verified(self, token: str) -> str:
        if token in self.revoked:
            raise ValueError("signed out")
        header = jwt.get_unverified_header(token)
        algorithm = header["alg"]
        key: Any = SECRET
        if algorithm != "HS256":
            [jwk] = [k for k in self.keys if k["kid"] == header.get("kid")]
            if jwk["alg"] != algorithm:
                raise ValueError("another algorithm")
            key = jwt.PyJWK(jwk).key
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience="authenticated",
            issuer=self.issuer,
            leeway=10,
        )
        return str(claims["sub"])
