"""What the contract of decisions asks about lists, answered for all rows at once.

Entries lie one after the other in memory with the offsets of their rows, so that each question is a few passes over
flat arrays instead of one evaluation a row.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

SUM = 1e-6
"""How far from 1 the propensities of a round may sum."""
EQUAL = 1e-9
"""How far the propensity of the action taken may be from its entry in the list."""
_STEP = 65_536


def with_list_facts(decisions: pl.DataFrame) -> pl.DataFrame:
    """Adds distinct_eligible (at least one action is named, each once, none empty), position (of the action taken among
    them, −1 where it is not there), matching_propensities (absent, or one probability for each eligible action,
    summing to 1 and agreeing with `propensity`) and eligible_set (the same number for equal lists of eligible
    actions, from 0 in the order in which they come)."""
    number, lists = _numbered(decisions["eligible"])
    eligible = _Lists.of(lists)
    names = pc.dictionary_encode(eligible.entries)
    code = names.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    position = _position(eligible, code, names.dictionary, number, decisions["action"])
    length = eligible.length[number]
    matching = [
        _matching(decisions[start : start + _STEP], length[start : start + _STEP], position[start : start + _STEP])
        for start in range(0, max(len(decisions), 1), _STEP)
    ]
    return decisions.with_columns(
        distinct_eligible=pl.Series(_distinct(eligible, code, names.dictionary)[number], dtype=pl.Boolean),
        position=pl.Series(position, dtype=pl.Int64),
        matching_propensities=pl.Series(np.concatenate(matching), dtype=pl.Boolean),
        eligible_set=pl.Series(number, dtype=pl.Int64),
    )


def _numbered(lists: pl.Series) -> tuple[NDArray[np.int64], pl.Series]:
    """The number of each list (row,) among the different ones, and those: there are few where actions are few."""
    rows = pl.DataFrame({"list": lists}).with_row_index("row").group_by("list", maintain_order=True).agg("row")
    number = np.empty(len(lists), dtype=np.int64)
    number[rows["row"].explode().to_numpy()] = np.repeat(np.arange(len(rows)), rows["row"].list.len().to_numpy())
    return number, rows["list"]


class _Lists:
    """The lists of a column, flat: entries (entry,), row (entry,) and start, length and null (row,)."""

    def __init__(self, entries: pa.Array, offsets: NDArray[np.int64], null: NDArray[np.bool_]) -> None:
        self.start, self.length, self.null = offsets[:-1] - offsets[0], np.diff(offsets), null
        self.entries = entries[offsets[0] : offsets[-1]]
        self.row = np.repeat(np.arange(len(null)), self.length)

    @classmethod
    def of(cls, column: pl.Series) -> _Lists:
        lists = column.to_arrow()
        return cls(lists.values, lists.offsets.to_numpy(), column.is_null().to_numpy())

    def any(self, entry: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether it is true of any entry, (row,)."""
        found = np.zeros(len(self.null), dtype=np.bool_)
        found[self.row[entry]] = True
        return found


def _distinct(eligible: _Lists, code: NDArray[np.int64], names: pa.Array) -> NDArray[np.bool_]:
    empty = pc.index(names, pa.scalar("", names.type)).as_py()
    nameless = eligible.any((code < 0) | (code == empty))
    twice = np.zeros(len(eligible.null), dtype=np.bool_)
    crowded = eligible.length > _bits(eligible, code)  # a bit was set twice: by one action, or by two that share it
    if crowded.any():
        entry = crowded[eligible.row]
        in_order = np.sort(eligible.row[entry] * (len(names) + 1) + code[entry] + 1)
        twice[in_order[1:][in_order[1:] == in_order[:-1]] // (len(names) + 1)] = True
    return ~eligible.null & (eligible.length > 0) & ~nameless & ~twice


def _bits(lists: _Lists, code: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many of 64 bits the entries of each list set, (row,), each the one of its code modulo 64."""
    count = np.zeros(len(lists.null), dtype=np.int64)
    some = lists.length > 0
    if some.any():
        each = np.uint64(1) << (code & 63).astype(np.uint64)
        count[some] = np.bitwise_count(np.bitwise_or.reduceat(each, lists.start[some]))
    return count


def _position(
    eligible: _Lists, code: NDArray[np.int64], names: pa.Array, number: NDArray[np.int64], action: pl.Series
) -> NDArray[np.int64]:
    """The place of the action taken in the row's list, (row,); −1 where it is not among the eligible."""
    taken = pc.index_in(action.to_arrow().cast(names.type), value_set=names).fill_null(-1).to_numpy()
    key = eligible.row * (len(names) + 1) + code + 1
    order = np.argsort(key, kind="stable")  # of an action that is named twice the first place stays
    sought = number * (len(names) + 1) + taken + 1
    at = np.minimum(np.searchsorted(key, sought, sorter=order), len(key) - 1)
    position = np.full(len(number), -1, dtype=np.int64)
    if len(key):
        entry = order[at]
        there = (key[entry] == sought) & (taken >= 0)
        position[there] = (entry - eligible.start[number])[there]
    return position


def _matching(decisions: pl.DataFrame, length: NDArray[np.int64], position: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of so many eligible actions a row, the one taken at this position."""
    lists = _Lists.of(decisions["propensities"])
    if lists.null.all():
        return lists.null
    value = lists.entries.to_numpy(zero_copy_only=False)  # null becomes NaN, which is no probability either
    improbable = lists.any(~((value >= 0) & (value <= 1)))
    total = np.bincount(lists.row, value, minlength=len(lists.null))
    same = (lists.length == length) & (position >= 0)
    logged = np.full(len(same), np.nan)
    logged[same] = value[(lists.start + position)[same]]
    propensity = decisions["propensity"].to_numpy()
    agrees = (np.abs(total - 1) <= SUM) & (np.abs(logged - propensity) <= EQUAL)
    matching: NDArray[np.bool_] = lists.null | (same & ~improbable & agrees)
    return matching
