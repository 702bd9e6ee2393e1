"""Outcomes find their rounds by the hashes of their keys, and by their ids where hashes mislead."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quaestor.store.outcome_places import hash_places, outcome_places


@given(st.lists(st.integers(0, 2**64 - 1), unique=True, max_size=60), st.lists(st.integers(0, 99), max_size=60))
def test_hashes_are_found_where_they_are(known: list[int], picks: list[int]) -> None:
    """Also where leading bits agree, as those of small numbers do."""
    for hashes in (known, [number >> 50 for number in known]):
        hashes = list(dict.fromkeys(hashes))
        sought = [hashes[pick % len(hashes)] if hashes and pick < 80 else pick for pick in picks]
        found = hash_places(np.array(hashes, dtype=np.uint64), np.array(sought, dtype=np.uint64))
        assert found.tolist() == [hashes.index(each) if each in hashes else -1 for each in sought]


@pytest.mark.parametrize("shared", ["among rounds", "with another round's outcome"])
def test_ids_decide_where_hashes_are_shared(shared: str) -> None:
    rounds, outcomes = {"a": 1, "b": 2, "c": 3}, {"c": 3, "x": 9, "a": 1}
    if shared == "among rounds":
        rounds["b"] = 1
    else:
        outcomes["x"] = 2
    tables = (
        pa.table({"event_id": list(side), "key_hash": pa.array(side.values(), pa.uint64())})
        for side in (rounds, outcomes)
    )
    assert outcome_places(*tables).tolist() == [2, -1, 0]
