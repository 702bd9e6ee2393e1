"""Which rounds outcomes are of, found by the hashes of their keys; equality is always judged on the ids."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NOWHERE = -1


def outcome_places(rounds: pa.Table, outcomes: pa.Table) -> NDArray[np.int64]:
    """The place among the rounds of each outcome (outcome,), −1 where none of them is its round.

    Both are of one system and have event_id and key_hash. Where two ids share a hash, ids are compared throughout.
    """
    place = hash_places(rounds["key_hash"].to_numpy(), outcomes["key_hash"].to_numpy())
    found = place != NOWHERE
    same = pc.equal(outcomes["event_id"].filter(found), rounds["event_id"].take(place[found]))
    if pc.all(same, min_count=0).as_py():
        return place
    ids = rounds["event_id"].combine_chunks()
    return np.asarray(pc.index_in(outcomes["event_id"], value_set=ids).fill_null(NOWHERE).to_numpy(), dtype=np.int64)


def hash_places(known: NDArray[np.uint64], sought: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The place of each sought hash among known ones, −1 where it is not there.

    The leading bits of a hash name its slot among four times as many as there are hashes, or more: a quarter of the
    time of a hash table. Those few whose slot another one took are looked up in such a table.
    """
    bits = np.uint64(2 + max(len(known), 1).bit_length())
    own, asked = (hashes >> (np.uint64(64) - bits) for hashes in (known, sought))
    slots = np.full(1 << int(bits), NOWHERE, dtype=np.int32)
    number = np.arange(len(known), dtype=np.int32)
    slots[own] = number
    place: NDArray[np.int64] = slots[asked].astype(np.int64)
    taken = place != NOWHERE
    taken[taken] = known[place[taken]] == sought[taken]
    place[~taken] = NOWHERE
    displaced = np.flatnonzero(slots[own] != number)
    rest = np.flatnonzero(~taken)
    if len(displaced) and len(rest):
        found = pc.index_in(pa.array(sought[rest]), value_set=pa.array(known[displaced])).fill_null(NOWHERE).to_numpy()
        place[rest[found != NOWHERE]] = displaced[found[found != NOWHERE]]
    return place
