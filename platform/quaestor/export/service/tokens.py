"""Bearer tokens and what each may do."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from quaestor.clock import utc_now
from quaestor.errors import UsageError

Role = Literal["anyone", "caller", "operator"]

_SHORTEST = 16


@dataclass(frozen=True)
class Token:
    """A token by its sha256; role: `caller` decides and reports, `operator` may also change the bundle."""

    digest: bytes
    role: Role
    expires: datetime | None

    def allows(self, role: Role) -> bool:
        """Whether it may use a route of this role."""
        return self.role == "operator" or self.role == role


def read_tokens(path: Path) -> tuple[Token, ...]:
    """Tokens from a file of lines `ROLE TOKEN [EXPIRES]`, such as `caller 9f2c… 2027-01-31T00:00:00Z`.

    Raises UsageError for anything else in it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UsageError(f"No tokens can be read from {path}.") from None
    tokens = tuple(_token(line.split(), f"{path}, line {n}") for n, line in enumerate(lines, 1) if line.strip())
    if not tokens:
        raise UsageError(f"{path} holds no token; write lines such as: caller $(openssl rand -hex 32)")
    return tokens


def find(tokens: tuple[Token, ...], presented: str) -> Token | None:
    """The valid token that was presented; compares with all in constant time."""
    digest = hashlib.sha256(presented.encode()).digest()
    found = None
    for token in tokens:
        if hmac.compare_digest(token.digest, digest):
            found = token
    if found is not None and found.expires is not None and utc_now().replace(tzinfo=UTC) >= found.expires:
        return None
    return found


def _token(words: list[str], where: str) -> Token:
    if len(words) not in (2, 3) or words[0] not in ("caller", "operator") or len(words[1]) < _SHORTEST:
        raise UsageError(
            f"{where}: expected 'caller' or 'operator', a token of {_SHORTEST} characters, and perhaps its expiry."
        )
    expires = None
    if len(words) == 3:
        try:
            expires = datetime.fromisoformat(words[2])
        except ValueError:
            expires = None
        if expires is None or expires.tzinfo is None:
            raise UsageError(f"{where}: the expiry must be a time with a zone, such as 2027-01-31T00:00:00Z.")
    role: Role = "caller" if words[0] == "caller" else "operator"
    return Token(hashlib.sha256(words[1].encode()).digest(), role, expires)
