"""A provider of OpenID Connect on this machine, so that signing in is tested as it happens."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

CLIENT, SECRET, COOKIE_SECRET = "console", "made-up-client-secret", "made-up-cookie-secret-of-this-test"


@dataclass
class Provider:
    """Signs in whoever `claims` name, without asking. address: where it answers."""

    address: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    asked: dict[str, str] = field(default_factory=dict)

    def secrets(self, folder: Path, console_port: int) -> Path:
        """The console's secrets file for this provider."""
        path = folder / "secrets.toml"
        path.write_text(
            f'[auth]\nredirect_uri = "http://localhost:{console_port}/oauth2callback"\n'
            f'cookie_secret = "{COOKIE_SECRET}"\nclient_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
            f'server_metadata_url = "{self.address}/.well-known/openid-configuration"\n'
        )
        return path

    def token(self, code: str) -> dict[str, Any]:
        """What the console is given for a code."""
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT, "iat": now, "exp": now + 3600, "nonce": self.asked.pop(code)}
        return {"access_token": "made-up", "token_type": "Bearer", "id_token": self._signed({**claims, **self.claims})}

    def _signed(self, claims: dict[str, Any]) -> str:
        head = _encoded(json.dumps({"alg": "RS256", "kid": "1", "typ": "JWT"}).encode())
        body = f"{head}.{_encoded(json.dumps(claims).encode())}"
        signature = self.key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{body}.{_encoded(signature)}"

    def keys(self) -> dict[str, Any]:
        """The key that tokens are checked with."""
        numbers = self.key.public_key().public_numbers()
        n, e = (_encoded(each.to_bytes((each.bit_length() + 7) // 8, "big")) for each in (numbers.n, numbers.e))
        return {"keys": [{"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig", "n": n, "e": e}]}

    def metadata(self) -> dict[str, Any]:
        """What a client must know of it."""
        ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
        return {
            "issuer": self.address,
            **{name: f"{self.address}/{end}" for name, end in ends.items()},
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }


@contextmanager
def provider(**claims: Any) -> Iterator[Provider]:
    """A provider that answers on this machine for as long as the block lasts."""
    found = Provider(claims=claims)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/authorize":
                code = f"code-{len(found.asked)}-{time.time_ns()}"
                found.asked[code] = asked["nonce"]
                self.send_response(302)
                back = urlencode({"code": code, "state": asked["state"]})
                self.send_header("Location", f"{asked['redirect_uri']}?{back}")
                self.end_headers()
            else:
                self._answer(found.keys() if url.path == "/keys" else found.metadata())

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._answer(found.token(form["code"][0]))

        def _answer(self, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    found.address = f"http://localhost:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
