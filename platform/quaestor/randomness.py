"""Chance as a pure function of names: seeded streams for studies, counter-based draws for decisions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


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
    prefix = hashlib.blake2b(f"{salt}\x1f{experiment}\x1f".encode(), digest_size=8)
    keys = bytearray()
    for event_id in event_ids:
        digest = prefix.copy()
        digest.update(event_id.encode())
        keys += digest.digest()
    return np.frombuffer(bytes(keys), dtype="<u8").astype(np.uint64)


def uniforms(keys: NDArray[np.uint64], count: int, stream: int = 0) -> NDArray[np.float64]:
    """Uniforms in (0, 1), (round, count), by the SplitMix64 finaliser over (key, stream, counter)."""
    counter = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(stream) * np.uint64(1 << 32)
    with np.errstate(over="ignore"):
        z = keys[:, None] + counter[None, :] * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.asarray(((z >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53)


def normals(keys: NDArray[np.uint64], count: int, stream: int = 1) -> NDArray[np.float64]:
    """Standard normals, (round, count), by Box and Muller on two streams of uniforms."""
    radius = np.sqrt(-2.0 * np.log(uniforms(keys, count, 2 * stream)))
    return radius * np.cos(2.0 * np.pi * uniforms(keys, count, 2 * stream + 1))
