"""Fits an additive oracle: sweeps over its blocks, then a search for curves and pairs, then sweeps over those, too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.payments.oracles.additive import AdditiveOracle, AdditiveParams, Variances, standardised
from models.payments.oracles.additive_blocks import AdditiveFit, recent_codes
from models.payments.oracles.oracle import TrainingSet
from models.payments.oracles.terms import Terms, edges_of, more_terms
from models.payments.training_rows import CHUNK, TrainingRows
from quaestor.export.encoding import Features

ROUNDS_OF_TERMS = 2
SWEEPS_OF_TERMS = 2
SWEEPS_PARTED = 2
STILL = 0.004
"""A sweep that moves logits by less than this, root mean square, is the last."""


def fit_rows(
    params: AdditiveParams,
    features: Features,
    rows: TrainingRows,
    described: NDArray[np.float64],
    parent: AdditiveOracle | None,
    recent: bool = False,
) -> AdditiveOracle:
    """Fits an additive oracle on training rows whose codes are those of the features' categories.

    described (action, part): features of the actions. parent: where to start from; with effects of the same
    actions in the same order. recent: the rows hold codes of what has changed of late, too.
    """
    # One thread for a product: it is too small to share, and its bits must not depend on the number of cores.
    with threadpool_limits(1):
        return _fit(params, features, rows, described, parent, recent)


def _fit(
    params: AdditiveParams,
    features: Features,
    rows: TrainingRows,
    described: NDArray[np.float64],
    parent: AdditiveOracle | None,
    recent: bool,
) -> AdditiveOracle:
    sizes = [len(feature.levels) + 1 for feature in features.category]
    fit = AdditiveFit(rows, sizes, described, recent)
    if parent is not None and not recent:  # after a change, what the parent knows is neither what was nor what is
        fit.start_from(parent, features)
    rows.thin(params.head)
    fit.begin()
    for _ in range(params.sweeps):
        if fit.sweep() < STILL:
            break
    if recent and fit.part():
        for _ in range(SWEEPS_PARTED):
            fit.sweep()
    terms = Terms()
    edges = np.zeros((len(features.numeric), 0), dtype=np.float32)
    if params.terms:
        edges = edges_of(rows.chunks()[0].design[:, 1:])
        for _ in range(ROUNDS_OF_TERMS):
            fit.expand()
            found = more_terms(rows, edges, terms, params.terms - len(terms.sizes()))
            if found == terms:
                break
            fit.add_terms(found, terms, edges)
            terms = found
            for _ in range(SWEEPS_OF_TERMS):
                fit.sweep()
    if params.head < 1:
        rows.thin(1.0)
        if terms.sizes():
            fit.encode(terms, edges)
        fit.begin()
        fit.sweep(steps=0)  # the variances are known from the head
    tables, weights = fit.current()
    return AdditiveOracle(
        features=features,
        terms=terms,
        edges=edges,
        weights=weights,
        covariance=fit.covariance,
        tables=tuple(table.mean for table in tables),
        variances=tuple(table.variance for table in tables),
        learned=tuple(Variances(p.shared, p.parts, p.own) for p in (fit.prior, *(table.prior for table in tables))),
    )


def fit_additive(params: AdditiveParams, training: TrainingSet, parent: AdditiveOracle | None) -> AdditiveOracle:
    """Fits an additive oracle on a training set in memory."""
    rows = TrainingRows(training.actions)
    sizes = [len(feature.levels) + 1 for feature in training.features.category]
    recent = training.recent
    for start in range(0, len(training), CHUNK):
        part = slice(start, start + CHUNK)
        code = training.contexts.category[part].T.astype(np.int32)
        if recent is not None:
            code = np.concatenate((code, recent_codes(code, sizes, recent[part])))
        rows.add(
            standardised(training.features, training.contexts.numeric[part]),
            code,
            training.action[part],
            training.reward[part],
            None if training.weight is None else training.weight[part],
        )
    return fit_rows(params, training.features, rows, training.described, parent, recent is not None)
