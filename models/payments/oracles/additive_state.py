"""What the next generation starts from: an additive oracle's effects as a file of plain arrays."""

from __future__ import annotations

import io
from itertools import count

import numpy as np

from models.payments.oracles.additive import AdditiveOracle, Variances
from models.payments.oracles.terms import Terms
from quaestor.errors import QuaestorError
from quaestor.export.encoding import Features

ORACLE = "oracle.npz"
"""The file's name in an iteration's folder."""


def state_of(oracle: AdditiveOracle) -> bytes:
    """The weights, the categories' tables and the learned variances; equal oracles give equal bytes."""
    categories = len(oracle.features.category)
    arrays = {"weights": oracle.weights, "covariance": oracle.covariance}
    for number in range(categories):
        arrays[f"table_{number}"] = oracle.tables[number]
        arrays[f"variance_{number}"] = oracle.variances[number]
    for number, learned in enumerate(oracle.learned[: 1 + categories]):
        arrays[f"learned_{number}"] = np.array([learned.shared, learned.parts, *learned.own])
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def oracle_from(state: bytes, features: Features) -> AdditiveOracle:
    """The oracle without its curves and pairs, which every generation seeks anew; features are those of its policy.

    Raises QuaestorError when the file does not fit the features.
    """
    with np.load(io.BytesIO(state), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    tables = tuple(arrays[f"table_{number}"] for number in _numbers("table", arrays))
    if [len(table) for table in tables] != [1 + len(feature.levels) for feature in features.category]:
        raise QuaestorError(f"{ORACLE} does not fit the features of its policy; restore it or start cold.")
    learned = [arrays[f"learned_{number}"] for number in _numbers("learned", arrays)]
    return AdditiveOracle(
        features=features,
        terms=Terms(),
        edges=np.zeros((len(features.numeric), 0), dtype=np.float32),
        weights=arrays["weights"],
        covariance=arrays["covariance"],
        tables=tables,
        variances=tuple(arrays[f"variance_{number}"] for number in _numbers("variance", arrays)),
        learned=tuple(Variances(float(part[0]), float(part[1]), part[2:]) for part in learned),
    )


def _numbers(name: str, arrays: dict[str, np.ndarray]) -> list[int]:
    found: list[int] = []
    for number in count():
        if f"{name}_{number}" not in arrays:
            return found
        found.append(number)
    return found
