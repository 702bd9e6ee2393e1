"""Chance as a pure function of names: seeded streams for studies, counter-based draws for decisions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, lru_cache
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_11, _27, _30, _31 = (np.uint64(bits) for bits in (11, 27, 30, 31))
_WORD = (1 << 64) - 1
FEW = 12
"""Normals of one key up to which Python's own whole numbers are faster than arrays."""


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A stream of its own for each (seed, names): adding a stream never disturbs another."""
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    words = np.frombuffer(digest, dtype=np.uint32)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words.tolist()])))


def stream_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for libraries that take an integer."""
    return int(generator(seed, *names).integers(0, 2**63 - 1))


def event_keys(salt: str, experiment: str, event_ids: Sequence[str]) -> NDArray[np.uint64]:
    """One 64-bit key an event, (round,): the same on every host and at every retry (rule R2)."""
    prefix = _prefix(salt, experiment)
    keys = []
    for event_id in event_ids:
        digest = prefix.copy()
        digest.update(event_id.encode())
        keys.append(digest.digest())
    return np.frombuffer(b"".join(keys), dtype="<u8").astype(np.uint64)


def event_key(salt: str, experiment: str, event_id: str) -> int:
    """The one of `event_keys` for one event."""
    digest = _prefix(salt, experiment).copy()
    digest.update(event_id.encode())
    return int.from_bytes(digest.digest(), "little")


@lru_cache(maxsize=64)
def _prefix(salt: str, experiment: str) -> hashlib.blake2b:
    return hashlib.blake2b(f"{salt}\x1f{experiment}\x1f".encode(), digest_size=8)


@cache
def _steps(count: int, streams: tuple[int, ...]) -> NDArray[np.uint64]:
    """What SplitMix64 adds to a key for each counter of each stream, (1, stream × count)."""
    counter = np.concatenate([np.arange(1, count + 1, dtype=np.uint64) + np.uint64(s << 32) for s in streams])
    return (counter * _GOLDEN)[None, :]


@cache
def _steps_one(count: int, streams: tuple[int, ...]) -> list[int]:
    """The same as Python's own whole numbers."""
    steps: list[int] = _steps(count, streams)[0].tolist()
    return steps


def _mixed(keys: NDArray[np.uint64], steps: NDArray[np.uint64]) -> NDArray[np.float64]:
    z = keys[:, None] + steps
    shifted = np.empty_like(z)  # in place: a million decisions make a hundred million of these
    for shift, factor in ((_30, _MIX_1), (_27, _MIX_2)):
        z ^= np.right_shift(z, shift, out=shifted)
        z *= factor
    z ^= np.right_shift(z, _31, out=shifted)
    found: NDArray[np.float64] = np.right_shift(z, _11, out=shifted).astype(np.float64)
    found += 0.5
    found *= 2.0**-53
    return found


def uniforms(keys: NDArray[np.uint64], count: int, stream: int = 0) -> NDArray[np.float64]:
    """Uniforms in (0, 1), (round, count), by the SplitMix64 finaliser over (key, stream, counter)."""
    return _mixed(keys, _steps(count, (stream,)))


def uniform(key: int) -> float:
    """The first of `uniforms` for one key, to the bit, without arrays."""
    return _mixed_one(key, _steps_one(1, (0,)))[0]


def _mixed_one(key: int, steps: list[int]) -> list[float]:
    """What `_mixed` makes of one key, (step,)."""
    found = []
    for step in steps:
        z = (key + step) & _WORD
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _WORD
        found.append((((z ^ (z >> 31)) >> 11) + 0.5) * 2.0**-53)
    return found


def normals(keys: NDArray[np.uint64], count: int, stream: int = 1) -> NDArray[np.float64]:
    """Standard normals, (round, count), by Box and Muller on two streams of uniforms."""
    both = _mixed(keys, _steps(count, (2 * stream, 2 * stream + 1)))
    radius: NDArray[np.float64] = np.log(both[:, :count])
    angle = 2.0 * np.pi * both[:, count:]
    radius *= -2.0
    np.sqrt(radius, out=radius)
    radius *= np.cos(angle, out=angle)
    return radius


def normals_of(key: int, count: int, stream: int = 1) -> list[float]:
    """The row of `normals` for one key, to the bit, with few calls of numpy.

    Logarithms and cosines stay numpy's: the standard library's differ in the last bit.
    """
    if count > FEW:
        row: list[float] = normals(np.array([key], dtype=np.uint64), count, stream)[0].tolist()
        return row
    both = _mixed_one(key, _steps_one(count, (2 * stream, 2 * stream + 1)))
    logs: list[float] = np.log(both[:count]).tolist()
    cosines: list[float] = np.cos([2.0 * pi * turn for turn in both[count:]]).tolist()
    return [sqrt(-2.0 * log) * cosine for log, cosine in zip(logs, cosines, strict=True)]
