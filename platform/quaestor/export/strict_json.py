"""JSON without the leniencies of the standard parser: no duplicate keys, no NaN, nothing nested without end."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""An escape that may be half of a character."""


class StrictJsonError(ValueError):
    """The bytes are not JSON as a careful program would write it; the message says why."""


def strict_json(content: bytes, finite: bool = True) -> Any:
    """Parses JSON; raises StrictJsonError for duplicate keys, NaN, infinities (1e400 is one), numbers of more than
    1,000 digits, text that is no Unicode, and deep nesting.

    Without `finite`, NaN and infinities are returned for the caller to refuse with the name of their field.
    """
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant if finite else float,
            parse_float=_finite if finite else float,
            parse_int=_whole,
        )
        if _HALF.search(content):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except StrictJsonError:
        raise
    except RecursionError:
        raise StrictJsonError("it is nested too deep") from None
    except UnicodeError:
        raise StrictJsonError("its text is no Unicode") from None
    except ValueError as error:
        raise StrictJsonError(f"it is not JSON: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise StrictJsonError(f"the key {twice!r} is there twice")
    return found


def _refuse_constant(word: str) -> Any:
    raise StrictJsonError(f"{word} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise StrictJsonError(f"{text[:20]} is too large for a number")
    return value


def _whole(text: str) -> int:
    if len(text) > 1000:
        raise StrictJsonError(f"a number has {len(text):,} digits")
    return int(text)
