"""What is said about all lists at once is what Python says about each alone."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from quaestor.log.lists import with_list_facts


@pytest.mark.parametrize("names", [2, 8, 200])
def test_lists_of_few_and_of_many_names_are_judged_as_one_by_one(names: int) -> None:
    chance = np.random.default_rng(names)
    known = [None, "", *(f"action {number}" for number in range(names))]
    lists: list[list[str | None] | None] = [None, [], [""], [None], ["action 0", "action 1", "action 0"]]
    for _ in range(600):
        share = chance.random(len(known)) * [0.02, 0.02, *[1.0] * names] > chance.random()
        some = [name for name, taken in zip(known, share, strict=True) if taken]
        chance.shuffle(some)
        lists.append(some + some[: int(chance.random() < 0.2)])
    actions = [chance.choice(known[1:]) for _ in lists]
    frame = pl.DataFrame(
        {"eligible": lists, "action": actions, "propensities": [None] * len(lists), "propensity": [1.0] * len(lists)},
        schema_overrides={"eligible": pl.List(pl.String), "propensities": pl.List(pl.Float64)},
    )
    facts = with_list_facts(frame)
    sound = [bool(each) and len(set(each)) == len(each) and all(each) for each in lists]
    assert facts["distinct_eligible"].to_list() == sound
    assert 0 < sum(sound) < len(sound) - 3
    places = [each.index(action) if action in (each or ()) else -1 for each, action in zip(lists, actions, strict=True)]
    assert facts["position"].to_list() == places
    different: list[list[str | None] | None] = []
    for each in lists:
        different += [each] if each not in different else []
    assert facts["eligible_set"].to_list() == [different.index(each) for each in lists]
