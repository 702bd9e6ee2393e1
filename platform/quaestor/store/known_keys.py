"""Which keys a table surely does not hold yet, told from the hashes of those it holds.

Every event table keeps the hash of each row's key. A Bloom filter over them (Bloom 1970; each key in one word, as in
Putze, Sanders and Singler 2007) answers "surely new" for nearly every new row, in memory that is set once; what it
cannot tell is looked up exactly. So the table is read once a file, eight bytes a row, whatever the file brings.
"""

from __future__ import annotations

import duckdb
import numpy as np
from numpy.typing import NDArray

WORDS_PER_KEY = 0.5
"""64-bit words for each key: about one new key in a thousand has to be looked up."""
ROOM = 4_000_000
"""Keys that there is room for beyond those that the table holds."""
LARGEST = 2**25
"""Words at most (256 MB); a store of more rows than that suits looks up more."""
_STEP = 2_000_000


class KnownKeys:
    """The key hashes of a table, at first those that it holds now."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        row = connection.execute(f"select count(*) from {table}").fetchone()
        wanted = WORDS_PER_KEY * ((row[0] if row else 0) + ROOM)
        self._bits = int(np.ceil(np.log2(min(wanted, LARGEST))))
        self._words = np.zeros(2**self._bits, dtype=np.uint64)
        for batch in connection.execute(f"select key_hash from {table}").to_arrow_reader(_STEP):
            self.add(batch["key_hash"].to_numpy())

    def add(self, hashes: NDArray[np.uint64]) -> None:
        """Holds these (key,), too."""
        np.bitwise_or.at(self._words, self._place(hashes), _pattern(hashes))

    def may_hold(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """False where a key (key,) is surely not held."""
        pattern = _pattern(hashes)
        found: NDArray[np.bool_] = (self._words[self._place(hashes)] & pattern) == pattern
        return found

    def _place(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        return (hashes >> np.uint64(64 - self._bits)).astype(np.int64)


def _pattern(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Four of the 64 bits of a word, named by the low bits of a hash."""
    pattern = np.zeros_like(hashes)
    for part in range(4):
        pattern |= np.uint64(1) << ((hashes >> np.uint64(6 * part)) & np.uint64(63))
    return pattern
