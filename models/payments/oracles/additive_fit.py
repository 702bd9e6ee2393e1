"""Fits an additive oracle: block after block of effects, by Newton's method on chunks of rounds.

Backfitting of a generalised additive mixed model (Hastie and Tibshirani 1986; Breslow and Clayton 1993): in each
sweep the log likelihood is replaced by its quadratic expansion, and one block after another (the numbers, then each
table) moves to its optimum given the others. A table's block parts into one small system a row, so that a block
costs one pass over its codes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.payments.oracles.action_prior import LEAST, ActionPrior, TablePosterior, table_posterior
from models.payments.oracles.additive import AdditiveOracle, AdditiveParams, Variances, standardised
from models.payments.oracles.oracle import TrainingSet
from models.payments.oracles.terms import Terms, edges_of, more_terms
from models.payments.training_rows import CHUNK, Chunk, TrainingRows
from quaestor.export.encoding import Features

TABLE_START = (0.15, 0.05, 0.04)
"""Variances of shared, parts' and own effects that a table starts from."""
NUMBER_START = (0.04, 0.02, 0.04)
TERM_START = (LEAST, LEAST, 0.01)
BASE = 25.0
"""Variance of the level that all actions share: wide, for rewards may be rare."""
STEPS = 3
"""Steps of expectation maximisation at each visit of a block."""
ROUNDS_OF_TERMS = 2
SWEEPS_OF_TERMS = 2
STILL = 0.004
"""A sweep that moves logits by less than this, root mean square, is the last."""


class AdditiveFit:
    """The state of a fit: effects and priors of every block, over training rows that keep each round's logit."""

    def __init__(self, rows: TrainingRows, sizes: list[int], described: NDArray[np.float64]) -> None:
        self.rows = rows
        self.described = described
        actions = rows.actions
        width = next(rows.chunks()).design.shape[1]
        self.weights = np.zeros((actions, width))
        self.covariance: NDArray[np.float64] = np.zeros((actions, width, width))
        self.prior = self._prior(NUMBER_START)
        self.base = self._prior((BASE, *NUMBER_START[1:]))
        self.tables = [self._fresh(size, TABLE_START) for size in sizes]
        self.categories = len(sizes)
        rate = min(max(rows.reward_sum / max(rows.weight_sum, 1e-9), 1e-4), 1 - 1e-4)
        self.weights[:, 0] = np.log(rate / (1 - rate))

    def start_from(self, parent: AdditiveOracle, features: Features) -> None:
        """Takes over what a parent knows of the same numbers and levels, and the variances it learned."""
        names = {feature.name: column for column, feature in enumerate(parent.features.numeric, 1)}
        known = [(new, names[f.name]) for new, f in enumerate(features.numeric, 1) if f.name in names]
        self.weights[:, 0] = parent.weights[:, 0]
        for new, old in known:
            self.weights[:, new] = parent.weights[:, old]
        learned = parent.learned[0]
        self.prior = ActionPrior(self.described, learned.shared, learned.parts, learned.own)
        places = {feature.name: column for column, feature in enumerate(parent.features.category)}
        for number, feature in enumerate(features.category):
            if feature.name not in places:
                continue
            column = places[feature.name]
            codes = {level: code for code, level in enumerate(parent.features.category[column].levels, 1)}
            take = np.array([0, *(codes.get(level, 0) for level in feature.levels)])
            held = parent.learned[1 + column]
            prior = ActionPrior(self.described, held.shared, held.parts, held.own)
            mean = np.where((take > 0)[:, None], parent.tables[column][take], 0.0)
            self.tables[number] = TablePosterior(mean, parent.variances[column][take], prior)

    def begin(self) -> None:
        """Sets every round's logit from the effects."""
        for chunk in self.rows.chunks():
            for action, weights in enumerate(self.weights.astype(np.float32)):
                part = chunk.of_action(action)
                chunk.logit[part] = chunk.design[part] @ weights
            for number, table in enumerate(self.tables):
                chunk.logit[:] += table.mean.astype(np.float32).ravel()[chunk.cells(number)]

    def sweep(self) -> float:
        """Moves every block once; returns how far logits moved, root mean square."""
        curvatures = self._expand()
        moved = self._move_numbers()
        for number, table in enumerate(self.tables):
            moved += self._move_table(number, table, curvatures[number])
        return float(np.sqrt(moved / max(self.rows.rounds, 1)))

    def add_terms(self, terms: Terms, known: Terms, edges: NDArray[np.float32]) -> None:
        """Gives new curves and pairs a table; the rounds' codes follow."""
        fresh = dict(zip([*terms.curves, *terms.pairs], terms.sizes(), strict=True))
        old = dict(zip([*known.curves, *known.pairs], self.tables[self.categories :], strict=True))
        self.tables = self.tables[: self.categories] + [
            old[term] if term in old else self._fresh(size, TERM_START) for term, size in fresh.items()
        ]
        self.rows.replace(
            cell=lambda chunk: np.concatenate(
                (
                    chunk.cell[: self.categories],
                    np.array(terms.codes(chunk.design[:, 1:], edges)) * np.int32(self.rows.actions) + chunk.action,
                )
            )
        )

    def expand(self) -> None:
        """Brings residuals and curvatures of the rounds up to date with their logits."""
        self._expand()

    def _expand(self) -> list[NDArray[np.float64]]:
        """The quadratic expansion at the current logits; returns each table's curvature (row, action)."""
        sums = [np.zeros(table.mean.size) for table in self.tables]
        for chunk in self.rows.chunks():
            chance = 1 / (1 + np.exp(-np.clip(chunk.logit, -30, 30)))
            chunk.residual[:] = chunk.weight * (chunk.reward - chance)
            chunk.curvature[:] = chunk.weight * np.maximum(chance * (1 - chance), 1e-6)
            wide = chunk.curvature.astype(np.float64)
            for number, total in enumerate(sums):
                add_by_cell(total, chunk.cells(number), wide)
        return [total.reshape(-1, self.rows.actions) for total in sums]

    def _move_numbers(self) -> float:
        actions, width = self.weights.shape
        gram, pull = np.zeros((actions, width, width)), np.zeros((actions, width))
        for chunk in self.rows.chunks():
            for action in range(actions):
                part = chunk.of_action(action)
                design = chunk.design[part]
                gram[action] += design.T @ (design * chunk.curvature[part, None])
                pull[action] += design.T @ chunk.residual[part]
        pull += np.einsum("afg,ag->af", gram, self.weights)
        for _ in range(STEPS):
            mean, spread = self._weights_posterior(gram, pull)
            if width > 1:
                self.prior = self.prior.learned(mean[:, 1:].T, spread[1:], each_own=False)
            self.base = self.base.learned(mean[:, :1].T, spread[:1], each_own=False)
            self.base = ActionPrior(self.described, BASE, self.base.parts, self.base.own)
        mean, _ = self._weights_posterior(gram, pull)
        change = (mean - self.weights).astype(np.float32)
        self.weights = mean
        moved = 0.0
        for chunk in self.rows.chunks():
            for action in range(actions):
                part = chunk.of_action(action)
                moved += _shift(chunk, part, chunk.design[part] @ change[action])
        return moved

    def _weights_posterior(
        self, gram: NDArray[np.float64], pull: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Means (action, 1 + number), and covariances between actions of each number, (1 + number, action, action).

        Keeps the covariance of each action's weights."""
        actions, width = pull.shape
        system = np.zeros((actions, width, actions, width))
        index = np.arange(actions)
        system[index, :, index, :] = gram
        each = np.arange(1, width)
        system[:, each, :, each] += np.linalg.inv(self.prior.covariance())
        system[:, 0, :, 0] += np.linalg.inv(self.base.covariance())
        size = actions * width
        inverse = np.linalg.inv(system.reshape(size, size))
        spread = inverse.reshape(actions, width, actions, width)
        self.covariance = np.asarray(spread[index, :, index, :], dtype=np.float64)
        mean = (inverse @ pull.ravel()).reshape(actions, width)
        return mean, np.ascontiguousarray(np.einsum("afbf->fab", spread))

    def _move_table(self, number: int, table: TablePosterior, curvature: NDArray[np.float64]) -> float:
        actions = self.rows.actions
        pull = np.zeros(table.mean.size)
        for chunk in self.rows.chunks():
            add_by_cell(pull, chunk.cells(number), chunk.residual.astype(np.float64))
        pulled = pull.reshape(-1, actions) + curvature * table.mean
        found = table_posterior(table.prior, pulled, curvature, STEPS, each_own=number >= self.categories)
        change = (found.mean - table.mean).astype(np.float32).ravel()
        self.tables[number] = found
        return sum(_shift(chunk, slice(None), change[chunk.cells(number)]) for chunk in self.rows.chunks())

    def _fresh(self, size: int, start: tuple[float, float, float]) -> TablePosterior:
        prior = self._prior(start)
        nothing = np.zeros((size, self.rows.actions))
        return TablePosterior(nothing, nothing + prior.covariance().diagonal(), prior)

    def _prior(self, start: tuple[float, float, float]) -> ActionPrior:
        shared, parts, own = start
        return ActionPrior(self.described, shared, parts, np.full(self.rows.actions, own))


def fit_rows(
    params: AdditiveParams,
    features: Features,
    rows: TrainingRows,
    described: NDArray[np.float64],
    parent: AdditiveOracle | None,
) -> AdditiveOracle:
    """Fits an additive oracle on training rows whose codes are those of the features' categories.

    described (action, part): features of the actions. parent: where to start from; with effects of the same
    actions in the same order.
    """
    # One thread: the products are too small to share, and their bits must not depend on the number of cores.
    with threadpool_limits(1):
        return _fit(params, features, rows, described, parent)


def _fit(
    params: AdditiveParams,
    features: Features,
    rows: TrainingRows,
    described: NDArray[np.float64],
    parent: AdditiveOracle | None,
) -> AdditiveOracle:
    sizes = [len(feature.levels) + 1 for feature in features.category]
    fit = AdditiveFit(rows, sizes, described)
    if parent is not None:
        fit.start_from(parent, features)
    fit.begin()
    for _ in range(params.sweeps):
        if fit.sweep() < STILL:
            break
    terms = Terms()
    edges = np.zeros((len(features.numeric), 0), dtype=np.float32)
    if params.terms:
        edges = edges_of(next(rows.chunks()).design[:, 1:])
        for _ in range(ROUNDS_OF_TERMS):
            fit.expand()
            found = more_terms(rows, edges, terms, params.terms - len(terms.sizes()))
            if found == terms:
                break
            fit.add_terms(found, terms, edges)
            terms = found
            for _ in range(SWEEPS_OF_TERMS):
                fit.sweep()
    return AdditiveOracle(
        features=features,
        terms=terms,
        edges=edges,
        weights=fit.weights,
        covariance=fit.covariance,
        tables=tuple(table.mean for table in fit.tables),
        variances=tuple(table.variance for table in fit.tables),
        learned=tuple(Variances(p.shared, p.parts, p.own) for p in (fit.prior, *(t.prior for t in fit.tables))),
    )


def fit_additive(params: AdditiveParams, training: TrainingSet, parent: AdditiveOracle | None) -> AdditiveOracle:
    """Fits an additive oracle on a training set in memory."""
    rows = TrainingRows(training.actions)
    for start in range(0, len(training), CHUNK):
        part = slice(start, start + CHUNK)
        rows.add(
            standardised(training.features, training.contexts.numeric[part]),
            training.contexts.category[part].T.astype(np.int32),
            training.action[part],
            training.reward[part],
            None if training.weight is None else training.weight[part],
        )
    return fit_rows(params, training.features, rows, training.described, parent)


def add_by_cell(total: NDArray[np.float64], cells: NDArray[np.int64], values: NDArray[np.float64]) -> None:
    """Adds values (round,) to the cells they belong to."""
    if total.size > 4 * cells.size:
        np.add.at(total, cells, values)
    else:
        total += np.bincount(cells, values, total.size)


def _shift(chunk: Chunk, part: slice, step: NDArray[np.float32]) -> float:
    """Moves logits by a step, and residuals with them along the quadratic expansion."""
    chunk.logit[part] += step
    chunk.residual[part] -= chunk.curvature[part] * step
    return float(step @ step)
