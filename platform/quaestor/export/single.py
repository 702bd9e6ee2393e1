"""Decides one payment given as a mapping, without a frame: what a service does thousands of times a second."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from quaestor.clock import utc_now
from quaestor.errors import UsageError
from quaestor.export.encoding import LARGEST, CategoryFeature, NumericFeature
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.study import did_you_mean

Record = dict[str, Any]


@dataclass(frozen=True)
class Draw:
    """The chance behind a decision: the event's key, from which draw and noise follow, and the noise that was
    added to its numbers, in standard deviations times the policy's noise scale: standard normal here."""

    seed: int
    noise: list[float]


class SingleDecisions:
    """A payments policy, made ready to decide mappings."""

    def __init__(self, policy: PaymentsPolicy, iteration_id: str) -> None:
        spec = policy.spec
        self._policy = policy
        self._system, self._iteration_id = spec.system, iteration_id
        self._actions = spec.actions
        self._number = {name: place for place, name in enumerate(spec.actions)}
        self._numeric = [(f"numeric_{f.name}", *_limits(f)) for f in spec.features.numeric]
        self._category = [(f"category_{f.name}", *_codes(f)) for f in spec.features.category]

    def decide(self, row: Mapping[str, Any]) -> tuple[Record, Draw]:
        """The decision record of one row, as `decide` gives for a frame, to the bit, and its chance.

        The row has event_id, features as numeric_… (a number) and category_… (text), and optionally eligible (a
        list of actions) and decided_at. A feature that is absent or None is missing. Raises UsageError for
        anything of another type and for an empty or unknown eligible set.
        """
        event_id = row.get("event_id")
        if type(event_id) is not str or not event_id:
            raise UsageError(f"event_id must be text, found {event_id!r}.")
        eligible = self._eligible(row.get("eligible"))
        features: Record = {}
        unfit = False
        numeric, category = [], []
        for name, mean, lowest, highest, stands_in in self._numeric:
            value = features[name] = _number(name, row.get(name))
            if value is None:
                numeric.append(mean)
                unfit = unfit or not stands_in
            elif lowest <= value <= highest:
                numeric.append(value)
            else:
                numeric.append(mean)
                unfit = True
                features[name] = value if isfinite(value) else None
        for name, codes, open_ended in self._category:
            text = features[name] = _text(name, row.get(name))
            code = codes.get(text, 0)
            category.append(code)
            unfit = unfit or (code == 0 and not open_ended)
        probabilities, action, fallback, seed, noise = self._policy.choose_one(
            numeric, category, eligible, event_id, unfit
        )
        record: Record = {
            "system": self._system,
            "event_id": event_id,
            "decided_at": _time(row.get("decided_at")),
            "iteration_id": self._iteration_id,
            "eligible": [name for name, allowed in zip(self._actions, eligible, strict=True) if allowed],
            "propensities": [value for value, allowed in zip(probabilities, eligible, strict=True) if allowed],
            "action": self._actions[action],
            "propensity": probabilities[action],
            "fallback": fallback,
        }
        record |= features
        for name, value in row.items():  # what the policy does not read may teach the next one
            if name not in record:
                if name[:8] == "numeric_":
                    record[name] = _storable(_number(name, value))
                elif name[:9] == "category_":
                    record[name] = _text(name, value)
        return record, Draw(seed, noise)

    def _eligible(self, names: Any) -> list[bool]:
        if names is None:
            return [True] * len(self._actions)
        if isinstance(names, str):
            names = names.split("|")
        if not isinstance(names, Iterable):
            raise UsageError(f"eligible must be a list of actions, found {names!r}.")
        mask = [False] * len(self._actions)
        number, some = self._number, False
        for name in names:
            place = number.get(name) if type(name) is str else None
            if place is None:
                raise UsageError(f"{name!r} is not among the actions of this policy.{did_you_mean(str(name), number)}")
            mask[place] = some = True
        if not some:
            raise UsageError("The eligible set is empty; there is nothing to decide.")
        return mask


def _limits(feature: NumericFeature) -> tuple[float, float, float, bool]:
    lowest = -LARGEST if feature.lowest is None else max(feature.lowest, -LARGEST)
    highest = LARGEST if feature.highest is None else min(feature.highest, LARGEST)
    return feature.missing, lowest, highest, feature.when_missing == "stand_in"


def _codes(feature: CategoryFeature) -> tuple[dict[str | None, int], bool]:
    codes: dict[str | None, int] = {level: code for code, level in enumerate(feature.levels, 1)}
    return codes, feature.when_unseen == "other"


def _number(name: str, value: Any) -> float | None:
    if type(value) is float:
        return value if value == value else None
    if value is None:
        return None
    if isinstance(value, bool | str | bytes):
        raise UsageError(f"{name} must be a number, found {value!r}.")
    try:
        number = float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return float("inf")
    except (TypeError, ValueError):
        raise UsageError(f"{name} must be a number, found {value!r}.") from None
    return number if number == number else None


def _storable(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None


def _text(name: str, value: Any) -> str | None:
    if value is None or type(value) is str:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise UsageError(f"{name} must be text, found {value!r}.")


def _time(value: Any) -> datetime:
    if value is None:
        return utc_now().replace(tzinfo=UTC)
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        time = None
    if time is None or time.tzinfo is None:
        raise UsageError(f"decided_at must be a time with a zone, such as 2026-01-31T09:30:00Z, found {value!r}.")
    return time.astimezone(UTC)
