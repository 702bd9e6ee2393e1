"""The blocks of an additive fit: the numbers and each table, moved one after another by Newton's method.

Backfitting of a generalised additive mixed model (Hastie and Tibshirani 1986; Breslow and Clayton 1993): in each
sweep the log likelihood is replaced by its quadratic expansion, and one block after another moves to its optimum given
the others. A table's block parts into one small system a row, so that a block costs one pass over its codes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.payments.oracles.action_prior import LEAST, ActionPrior, TablePosterior, table_posterior
from models.payments.oracles.additive import AdditiveOracle
from models.payments.oracles.terms import Terms
from models.payments.training_rows import Chunk, TrainingRows
from quaestor.export.encoding import Features

TABLE_START = (0.15, 0.05, 0.04)
"""Variances of shared, parts' and own effects that a table starts from."""
NUMBER_START = (0.04, 0.02, 0.04)
TERM_START = (LEAST, LEAST, 0.01)
RECENT_START = (0.02, 0.01, 0.02)
BASE = 25.0
"""Variance of the level that all actions share: wide, for rewards may be rare."""
PARTED = 0.5
"""A change of more than this share of the lasting variance parts a category. Effects that are drawn anew change by
twice their variance, but the few steps of expectation maximisation get there from below."""
STEPS = 3
STEPS_OF_CHANGE = 10
"""Steps of expectation maximisation at each visit of a block, and more for what has changed: it starts far off."""

CellSums = tuple[NDArray[np.intp] | None, NDArray[np.float64]]
"""Cells and the sum over each; None for all of them in order."""


class AdditiveFit:
    """The state of a fit: effects and priors of every block, over training rows that keep each round's logit.

    sizes: rows of each category's table. recent: the rows hold codes of as many further tables as `recent_codes` makes,
    of what has changed of late; variances that are learned tell how much has.
    """

    def __init__(self, rows: TrainingRows, sizes: list[int], described: NDArray[np.float64], recent: bool) -> None:
        self.rows = rows
        self.described = described
        actions = rows.actions
        width = rows.chunks()[0].design.shape[1]
        self.weights = np.zeros((actions, width))
        self.covariance: NDArray[np.float64] = np.zeros((actions, width, width))
        self.prior = self._prior(NUMBER_START)
        self.base = self._prior((BASE, *NUMBER_START[1:]))
        self.tables = [self._fresh(size, TABLE_START) for size in sizes]
        self.categories = len(sizes)
        if recent:
            self.tables += [self._fresh(size, RECENT_START) for size in (2, *(size + 1 for size in sizes))]
        self.lasting = len(self.tables)
        self.parted: list[int] = []
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
        weights, tables = self.weights.astype(np.float32), [t.mean.astype(np.float32).ravel() for t in self.tables]

        def work(chunk: Chunk) -> None:
            for action, own in enumerate(weights):
                part = chunk.of_action(action)
                chunk.logit[part] = chunk.design[part] @ own
            for number, table in enumerate(tables):
                chunk.logit[:] += table.take(chunk.cells(number))

        for _ in self.rows.each(work):
            pass

    def sweep(self, steps: int = STEPS) -> float:
        """Moves every block once; returns how far logits moved, root mean square. steps: of expectation maximisation
        at each block."""
        curvatures = self._expand()
        moved = self._move_numbers(steps)
        for number, table in enumerate(self.tables):
            moved += self._move_table(number, table, curvatures[number], steps)
        return float(np.sqrt(moved / max(self.rows.rounds, 1)))

    def add_terms(self, terms: Terms, known: Terms, edges: NDArray[np.float32]) -> None:
        """Gives new curves and pairs a table; the rounds' codes follow."""
        fresh = dict(zip([*terms.curves, *terms.pairs], terms.sizes(), strict=True))
        old = dict(zip([*known.curves, *known.pairs], self.tables[self.lasting :], strict=True))
        self.tables = self.tables[: self.lasting] + [
            old[term] if term in old else self._fresh(size, TERM_START) for term, size in fresh.items()
        ]
        self.encode(terms, edges)

    def encode(self, terms: Terms, edges: NDArray[np.float32]) -> None:
        """Gives the rounds that passes see their rows in the tables of curves and pairs."""
        self.rows.replace(
            cell=lambda chunk: np.concatenate(
                (
                    chunk.cell[: self.lasting],
                    np.array(terms.codes(chunk.design[:, 1:], edges)) * np.int32(self.rows.actions) + chunk.action,
                )
            )
        )

    def part(self) -> bool:
        """Parts every category whose effects on single actions have changed nearly as much as they last; from now on
        older rounds and recent ones read tables that know nothing of each other. Returns whether there is one."""
        change = {number: self.categories + 1 + number for number in range(self.categories)}
        for number, other in change.items():
            lasts, changed = (self.tables[place].prior.own.mean() for place in (number, other))
            if changed > PARTED * lasts:
                self.parted.append(number)
                old, new = self.tables[number], self.tables[other]
                none = np.zeros((1, self.rows.actions))
                mean = np.concatenate((old.mean + new.mean[:-1], none))
                self.tables[other] = TablePosterior(mean, new.variance, self._prior(TABLE_START))
                self.tables[number] = TablePosterior(
                    np.concatenate((old.mean, none)), np.concatenate((old.variance, none)), old.prior
                )
        actions = np.int32(self.rows.actions)

        def cells(chunk: Chunk) -> NDArray[np.int32]:
            cell = chunk.cell.copy()
            for number in self.parted:
                idle = np.int32(len(self.tables[number].mean) - 1)
                recent = cell[change[number]] // actions != idle
                cell[number] = np.where(recent, idle * actions + chunk.action, cell[number])
            return cell

        if self.parted:
            self.rows.replace(cell=cells)
        return bool(self.parted)

    def current(self) -> tuple[list[TablePosterior], NDArray[np.float64]]:
        """The tables and weights as they are now: what has changed of late is added to what lasts."""
        kept, weights = self.tables[: self.categories], self.weights.copy()
        if self.lasting > self.categories:
            level, *changes = self.tables[self.categories : self.lasting]
            weights[:, 0] += level.mean[0]
            for number, new in enumerate(changes):
                mean, variance = new.mean[:-1], new.variance[:-1]
                if number in self.parted:
                    kept[number] = TablePosterior(mean, variance, new.prior)
                else:
                    old = kept[number]
                    kept[number] = TablePosterior(old.mean + mean, old.variance + variance, old.prior)
        return kept + self.tables[self.lasting :], weights

    def expand(self) -> None:
        """Brings residuals and curvatures of the rounds up to date with their logits."""
        self._expand()

    def _expand(self) -> list[NDArray[np.float64]]:
        """The quadratic expansion at the current logits; returns each table's curvature (row, action)."""
        sizes = [table.mean.size for table in self.tables]

        def work(chunk: Chunk) -> list[CellSums]:
            chance = 1 / (1 + np.exp(-np.clip(chunk.logit, -30, 30)))
            chunk.residual[:] = chunk.weight * (chunk.reward - chance)
            chunk.curvature[:] = chunk.weight * np.maximum(chance * (1 - chance), 1e-6)
            wide = chunk.curvature.astype(np.float64)
            return [by_cell(size, chunk.cells(number), wide) for number, size in enumerate(sizes)]

        sums = [np.zeros(size) for size in sizes]
        for found in self.rows.each(work):
            for total, part in zip(sums, found, strict=True):
                add_sums(total, part)
        return [total.reshape(-1, self.rows.actions) for total in sums]

    def _move_numbers(self, steps: int) -> float:
        actions, width = self.weights.shape

        def squares(chunk: Chunk) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            gram = np.zeros((actions, width, width), dtype=np.float32)
            pull = np.zeros((actions, width), dtype=np.float32)
            for action in range(actions):
                part = chunk.of_action(action)
                design = chunk.design[part]
                gram[action] = design.T @ (design * chunk.curvature[part, None])
                pull[action] = design.T @ chunk.residual[part]
            return gram, pull

        gram, pull = np.zeros((actions, width, width)), np.zeros((actions, width))
        for some in self.rows.each(squares):
            gram += some[0]
            pull += some[1]
        pull += np.einsum("afg,ag->af", gram, self.weights)
        for _ in range(steps):
            mean, spread = self._weights_posterior(gram, pull)
            if width > 1:
                self.prior = self.prior.learned(mean[:, 1:].T, spread[1:], each_own=False)
            self.base = self.base.learned(mean[:, :1].T, spread[:1], each_own=False)
            self.base = ActionPrior(self.described, BASE, self.base.parts, self.base.own)
        mean, _ = self._weights_posterior(gram, pull)
        change = (mean - self.weights).astype(np.float32)
        self.weights = mean

        def shift(chunk: Chunk) -> float:
            parts = [chunk.of_action(action) for action in range(actions)]
            return sum(_shift(chunk, part, chunk.design[part] @ step) for part, step in zip(parts, change, strict=True))

        return sum(self.rows.each(shift))

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

    def _move_table(self, number: int, table: TablePosterior, curvature: NDArray[np.float64], steps: int) -> float:
        actions, size = self.rows.actions, table.mean.size
        pull = np.zeros(size)
        for part in self.rows.each(lambda c: by_cell(size, c.cells(number), c.residual.astype(np.float64))):
            add_sums(pull, part)
        if self.categories <= number < self.lasting or number in self.parted:
            # The last row is that of rounds with which the table has nothing to do.
            pull[-actions:], curvature[-1] = 0.0, 0.0
        if steps and self.categories <= number < self.lasting:
            steps = STEPS_OF_CHANGE
        pulled = pull.reshape(-1, actions) + curvature * table.mean
        found = table_posterior(table.prior, pulled, curvature, steps, each_own=number >= self.lasting)
        change = (found.mean - table.mean).astype(np.float32).ravel()
        self.tables[number] = found
        return sum(self.rows.each(lambda c: _shift(c, slice(None), change.take(c.cells(number)))))

    def _fresh(self, size: int, start: tuple[float, float, float]) -> TablePosterior:
        prior = self._prior(start)
        nothing = np.zeros((size, self.rows.actions))
        return TablePosterior(nothing, nothing + prior.covariance().diagonal(), prior)

    def _prior(self, start: tuple[float, float, float]) -> ActionPrior:
        shared, parts, own = start
        return ActionPrior(self.described, shared, parts, np.full(self.rows.actions, own))


def recent_codes(category: NDArray[np.int32], sizes: list[int], recent: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Rows of tables of what has changed of late, (table, round): of the level of actions, then of each category
    (category, round); older rounds read the last row of each."""
    idle = np.array([1, *sizes], dtype=np.int32)[:, None]
    code = np.concatenate((np.zeros((1, len(recent)), dtype=np.int32), category))
    return np.where(recent, code, idle).astype(np.int32)


def by_cell(size: int, cells: NDArray[np.intp], values: NDArray[np.float64]) -> CellSums:
    """Sums of values (round,) over the cells that they belong to, of `size` cells in all."""
    if size <= 4 * len(cells):
        return None, np.asarray(np.bincount(cells, values, size), dtype=np.float64)
    used, place = np.unique(cells, return_inverse=True)
    return used, np.asarray(np.bincount(place, values), dtype=np.float64)


def add_sums(total: NDArray[np.float64], part: CellSums) -> None:
    """Adds sums by cell to those of other rounds."""
    used, sums = part
    if used is None:
        total += sums
    else:
        total[used] += sums


def _shift(chunk: Chunk, part: slice, step: NDArray[np.float32]) -> float:
    """Moves logits by a step, and residuals with them along the quadratic expansion."""
    chunk.logit[part] += step
    chunk.residual[part] -= chunk.curvature[part] * step
    return float(step @ step)
