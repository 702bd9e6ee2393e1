"""Whom a decision was about is never kept as it came: only its hash under a key that lies outside the store."""

from __future__ import annotations

import hashlib
import os
import secrets
from functools import partial
from pathlib import Path

import polars as pl

from quaestor.atomic import write_file
from quaestor.errors import UsageError

KEY_FILE = "subject.key"
KEY_VARIABLE = "QUAESTOR_SUBJECT_KEY"
COLUMN = "subject"
_BYTES = 16


def subject_hash(subject: str, key: bytes) -> str:
    """The pseudonym of a data subject: BLAKE2b keyed, 32 hexadecimal digits."""
    return hashlib.blake2b(subject.encode(), digest_size=_BYTES, key=key).hexdigest()


def hashed(frame: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """The frame with every subject replaced by its hash; a frame without subjects as it is."""
    if COLUMN not in frame.columns:
        return frame
    one = partial(subject_hash, key=subject_key(folder))
    text = frame[COLUMN].cast(pl.String)
    names = text.unique().drop_nulls()
    pseudonyms = pl.Series([one(name) for name in names.to_list()], dtype=pl.String)
    return frame.with_columns(text.replace_strict(names, pseudonyms, default=None).alias(COLUMN))


def subject_key(folder: Path) -> bytes:
    """The key of the hashes: from QUAESTOR_SUBJECT_KEY, which machines that share a store must share, else from the
    file subject.key beside the store, which is made at first need. Raises UsageError where it is too short to keep
    guessers out."""
    told = os.environ.get(KEY_VARIABLE)
    path = folder / KEY_FILE
    if told is None and not path.exists():
        write_file(path, secrets.token_hex(32).encode())
        path.chmod(0o600)
    key = (told or path.read_text()).strip().encode()
    if len(key) < 32:
        raise UsageError(f"{KEY_VARIABLE if told else path}: a key of 32 characters or more, found {len(key)}.")
    return hashlib.sha256(key).digest()
