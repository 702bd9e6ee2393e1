"""How often the gate is wrong: equal policies, a candidate worse by the margin, better ones with the rounds needed, and
canaries that are looked at after every batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmarks import Row, options, report
from benchmarks.worlds.discrete import Array, DiscreteWorld, discrete_world
from quaestor.ope.cross_fitting import cross_fitted
from quaestor.ope.ridge import Ridge
from quaestor.registry.canary import CanaryParams, CanaryRounds, CanaryState, watch
from quaestor.registry.gate import GateParams, Stage, Verdict, gate
from quaestor.registry.off_policy import evaluate_off_policy

ALPHA = 0.05
MARGIN = 0.02
SIZE = GateParams(effective_size=500, rarer_outcomes=100)


def main() -> None:
    """Rows: case, true_gain, margin, rounds, trials, promoted, rejected, not_enough, wrong (share of trials with the
    wrong outcome), alpha (what that share may be, None for power), rounds_needed (median estimate of a run that
    was not settled, or median rounds until a canary was)."""
    parser = options(__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=4000)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.trials = min(arguments.trials, 200)
    world = discrete_world()
    trials, rounds = arguments.trials, arguments.rounds
    report([*gate_rows(world, trials, rounds), *canary_rows(world, max(100, trials // 2), rounds)], arguments.json)


def gate_rows(world: DiscreteWorld, trials: int, rounds: int) -> Iterator[Row]:
    """The gate on paired doubly robust evaluations."""
    base = world.tilted(2.0)
    better, worse = _shifted(world, base, MARGIN), _shifted(world, base, -MARGIN)
    for case, candidate, margin, wrong, alpha in (
        ("A/A: two policies of equal value", None, 0.0, Stage.PROMOTE, ALPHA),
        ("worse by the margin", worse, 0.0, Stage.PROMOTE, ALPHA),
        ("better by no more than the margin", better, MARGIN, Stage.PROMOTE, ALPHA),
    ):
        verdicts = [_judged(world, candidate, base, margin, rounds, trial) for trial in range(trials)]
        gain = 0.0 if candidate is None else world.value(candidate) - world.value(base)
        yield _row(case, gain, margin, rounds, verdicts, wrong, alpha)
    other = _of_equal_value(world, base, np.random.default_rng(5))
    for size in (rounds // 2, rounds, 2 * rounds):
        candidate = _shifted(world, other, MARGIN)
        verdicts = [_judged(world, candidate, base, 0.0, size, trial) for trial in range(max(100, trials // 4))]
        yield _row("power: better by the margin", MARGIN, 0.0, size, verdicts, Stage.REJECT, ALPHA)


def canary_rows(world: DiscreteWorld, trials: int, rounds: int) -> Iterator[Row]:
    """Canaries on a tenth of the traffic, judged at fifty looks."""
    base = world.tilted(2.0)
    params = CanaryParams(share=0.1, harm=MARGIN)
    for case, candidate, wrong in (
        ("canary as good as the incumbent", base, CanaryState.ROLL_BACK),
        ("canary worse by as much as is borne", _shifted(world, base, -MARGIN), CanaryState.ROLL_BACK),
        ("canary worse by 0.15", _shifted(world, base, -0.15), CanaryState.PASSED),
    ):
        found = [_watched(world, candidate, base, params, 5 * rounds, trial) for trial in range(trials)]
        states = Counter(state for state, _ in found)
        settled = [after for _, after in found if after is not None]
        yield {
            "case": case,
            "true_gain": world.value(candidate) - world.value(base),
            "margin": params.harm,
            "rounds": 5 * rounds,
            "trials": trials,
            "promoted": states[CanaryState.PASSED],
            "rejected": states[CanaryState.ROLL_BACK],
            "not_enough": states[CanaryState.WATCHING],
            "wrong": states[wrong] / trials,
            "alpha": ALPHA,
            "rounds_needed": int(np.median(settled)) if settled else None,
        }


def _judged(
    world: DiscreteWorld, candidate: Array | None, base: Array, margin: float, rounds: int, trial: int
) -> Verdict:
    batch, context = world.log(rounds, trial)
    draw = np.random.default_rng([trial, 11])
    new, old = (base if policy is None else policy for policy in (candidate, base))
    if candidate is None:
        new, old = (_of_equal_value(world, base, draw) for _ in range(2))
    predicted = cross_fitted(batch, Ridge())
    evaluation = evaluate_off_policy(batch, new[context], old[context], predicted, "incumbent", 1 - ALPHA)
    return gate(evaluation, None, (), replace(SIZE, margin=margin))


def _watched(
    world: DiscreteWorld, candidate: Array, base: Array, params: CanaryParams, rounds: int, trial: int
) -> tuple[CanaryState, int | None]:
    draw = np.random.default_rng([trial, 13])
    context = draw.choice(len(world.share), rounds, p=world.share)
    by_candidate = draw.random(rounds) < params.share
    deciding = np.where(by_candidate[:, None], candidate[context], base[context])
    action = (deciding.cumsum(axis=1) < draw.random(rounds)[:, None]).sum(axis=1).clip(max=deciding.shape[1] - 1)
    reward = (draw.random(rounds) < world.truth[context, action]).astype(np.float64)
    of_candidate, of_incumbent = candidate[context, action], base[context, action]
    verdict = watch(CanaryRounds(of_candidate, of_incumbent, reward, by_candidate), params)
    return verdict.state, verdict.settled_after


def _shifted(world: DiscreteWorld, base: Array, gain: float) -> Array:
    """A mixture of a policy with the best or the worst one that gains exactly so much over it."""
    best = world.truth.argmax(axis=1) if gain > 0 else world.truth.argmin(axis=1)
    extreme = np.eye(base.shape[1])[best]
    share = gain / (world.value(extreme) - world.value(base))
    return np.asarray((1 - share) * base + share * extreme)


def _of_equal_value(world: DiscreteWorld, base: Array, draw: np.random.Generator) -> Array:
    """Another policy that is worth exactly as much: perturbed, then mixed with the best or the worst one."""
    weight = base * draw.uniform(0.3, 3.0, base.shape)
    perturbed = weight / weight.sum(axis=1, keepdims=True)
    return _shifted(world, perturbed, world.value(base) - world.value(perturbed))


def _row(
    case: str, gain: float, margin: float, rounds: int, verdicts: list[Verdict], wrong: Stage, alpha: float
) -> Row:
    stages = Counter(verdict.stage for verdict in verdicts)
    needed = [verdict.rounds_needed for verdict in verdicts if verdict.rounds_needed is not None]
    return {
        "case": case,
        "true_gain": gain,
        "margin": margin,
        "rounds": rounds,
        "trials": len(verdicts),
        "promoted": stages[Stage.PROMOTE],
        "rejected": stages[Stage.REJECT],
        "not_enough": stages[Stage.NOT_ENOUGH],
        "wrong": stages[wrong] / len(verdicts),
        "alpha": alpha,
        "rounds_needed": int(np.median(needed)) if needed else None,
    }


if __name__ == "__main__":
    main()
