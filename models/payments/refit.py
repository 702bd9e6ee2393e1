"""Refits a payments policy on matured rounds: features, oracle, exploration rule, graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.payments.actions import ActionParams, described, live_actions, refuse_default
from models.payments.exploration.build import ExplorationParams, rule_of
from models.payments.exploration.charged import Charged
from models.payments.exploration.epsilon_greedy import EpsilonGreedy
from models.payments.exploration.inverse_gap import InverseGap
from models.payments.exploration.rule import Beliefs, Exploration
from models.payments.exploration.tuning import Tuned, most_exploring
from models.payments.features import FeatureParams, fit_features
from models.payments.noisy_rounds import with_noise
from models.payments.oracles.additive import AdditiveOracle, AdditiveParams
from models.payments.oracles.fit import OracleParams, fit_oracle
from models.payments.oracles.fixed import preference
from models.payments.oracles.logistic import LogisticParams
from models.payments.oracles.oracle import Oracle, TrainingSet
from models.payments.policy import policy_graph
from models.payments.stream import fit_from_store
from quaestor.export.encoding import Features, encode
from quaestor.export.spec import PaymentsSpec
from quaestor.log.batch import LoggedBatch, MaturedBatch
from quaestor.log.held_out import held_out
from quaestor.ope.objectives import ObjectiveParams, charged_price, costs_of
from quaestor.randomness import event_keys, stream_seed, uniforms
from quaestor.store import Store
from quaestor.store.training import TrainingWindow, names

TUNING_SHARE = 0.25


@dataclass(frozen=True)
class RefitParams:
    """What a refit is made of.

    default_action: taken when the policy fails. held_out: the share of rounds kept from training, for evaluation.
    objective: what actions cost; absent where only the reward counts. weighting: of rounds in the fit; none is best but
    where the log hardly knows what the policy will do (rule R9). noisy_copies: how often the oracle meets each round
    with the noise of smoothing on its numbers; 0: once, as logged. warm_start: an additive oracle starts from the
    incumbent's. adaptive_memory: where payments have changed, only what did not is learned from the rounds before.
    open_rounds: rounds whose window is still open teach, too, as far as the delays of closed ones allow. streamed: the
    rounds that teach are read from the store slice by slice, so that memory does not grow with them; for an additive
    oracle and an exploration that is not tuned.
    """

    default_action: str
    oracle: OracleParams = field(default_factory=LogisticParams)
    exploration: ExplorationParams = field(default_factory=InverseGap)
    features: FeatureParams = field(default_factory=FeatureParams)
    actions: ActionParams = field(default_factory=ActionParams)
    objective: ObjectiveParams | None = None
    weighting: Literal["none", "inverse_propensity"] = "none"
    held_out: float = 0.3
    noisy_copies: int = 0
    warm_start: bool = False
    adaptive_memory: bool = False
    open_rounds: bool = False
    streamed: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        at_once = (self.adaptive_memory, self.open_rounds, self.noisy_copies, self.weighting != "none", self.objective)
        plain = isinstance(self.oracle, AdditiveParams) and not isinstance(self.exploration, Tuned)
        if self.streamed and (not plain or any(at_once)):
            raise ValueError(
                "streamed goes with an additive oracle, an exploration that is not tuned, and without adaptive_memory, "
                "open_rounds, noisy_copies, weighting or objective."
            )
        if self.noisy_copies < 0:
            raise ValueError(f"noisy_copies must be 0 or more, found {self.noisy_copies}.")
        if not 0 < self.held_out < 1:
            raise ValueError(f"held_out must be between 0 and 1, found {self.held_out}.")


@dataclass(frozen=True)
class Refit:
    """A refitted policy: its oracle, its spec and its graph as ONNX bytes."""

    oracle: Oracle
    spec: PaymentsSpec
    graph: bytes


def refit(
    batch: MaturedBatch,
    params: RefitParams,
    noise_scale: float,
    salt: str,
    parent: Refit | None = None,
    changed_at: datetime | None = None,
    weight: NDArray[np.float64] | None = None,
    costs: MaturedBatch | None = None,
) -> Refit:
    """Fits oracle and rule on the rounds that are not held out.

    noise_scale: of smoothing, in standard deviations of each number. salt names the policy's own chance. parent:
    where the oracle starts from, when it knows the same actions. changed_at: since when payments are not what they
    were, where `models.payments.memory` found that. weight (round,): how much each round counts, where some are not
    closed yet (`quaestor.log.delay`). costs: rounds whose rewards are what they cost, where the objective names a cost
    system.
    """
    teaches = ~held_out(batch.logged, params.held_out)
    if costs is not None:
        costs = costs.rows(~held_out(costs.logged, params.held_out))
    counted = None if weight is None else weight[teaches]
    return refit_on(batch.rows(teaches), params, noise_scale, salt, parent, changed_at, counted, costs)


def refit_on(
    training: MaturedBatch,
    params: RefitParams,
    noise_scale: float,
    salt: str,
    parent: Refit | None = None,
    changed_at: datetime | None = None,
    weight: NDArray[np.float64] | None = None,
    costs: MaturedBatch | None = None,
) -> Refit:
    """The same on rounds that all teach."""
    features = fit_features(training.logged.context, params.features)
    actions = live_actions(training.logged.actions, params.actions)
    refuse_default(params.default_action, actions)
    learned = training_set(training, features, params, actions, changed_at, weight)
    start = parent.oracle if parent is not None and parent.spec.actions == actions else None
    taught = learned
    if params.noisy_copies and noise_scale > 0:
        taught = with_noise(learned, noise_scale, params.noisy_copies, stream_seed(params.seed, "noisy rounds"))
    oracle = fit_oracle(params.oracle, taught, stream_seed(params.seed, "oracle"), start)
    cost_oracle = None
    if costs is not None:
        known = training_set(costs, features, params, actions)
        cost_oracle = fit_oracle(params.oracle, known, stream_seed(params.seed, "costs"))
    if isinstance(params.exploration, Tuned):
        rule: Exploration = _tuned(params.exploration, training, features, params, actions)
    else:
        rule = rule_of(params.exploration, len(learned), len(actions))
    if params.objective is not None:
        fixed = costs_of(actions, params.objective)
        wide = fixed if cost_oracle is None else fixed + cost_oracle.predict(learned.contexts)
        price = charged_price(oracle.predict(learned.contexts), wide, _eligible(training, actions), params.objective)
        rule = Charged(rule, price * fixed, price)
    spec = PaymentsSpec("payments", training.logged.system, actions, params.default_action, features, noise_scale, salt)
    return Refit(oracle, spec, policy_graph(oracle, rule, spec, cost_oracle))


def refit_from_store(
    store: Store,
    window: TrainingWindow,
    params: RefitParams,
    noise_scale: float,
    salt: str,
    parent: Refit | None = None,
) -> Refit:
    """The same for a study that streams; its rounds are never in memory at once."""
    if not isinstance(params.oracle, AdditiveParams):
        raise TypeError("only an additive oracle can be streamed.")
    start = parent.oracle if parent is not None and isinstance(parent.oracle, AdditiveOracle) else None
    with store.read() as connection:
        live = live_actions(names(connection, window.system).actions, params.actions)
    refuse_default(params.default_action, live)
    if parent is not None and parent.spec.actions != live:
        start = None
    made = fit_from_store(store, window, params.oracle, params.features, params.actions, params.held_out, start)
    rule = rule_of(params.exploration, made.rounds, len(live))
    spec = PaymentsSpec("payments", window.system, live, params.default_action, made.features, noise_scale, salt)
    return Refit(made.oracle, spec, policy_graph(made.oracle, rule, spec))


def _eligible(batch: MaturedBatch, actions: tuple[str, ...]) -> NDArray[np.bool_]:
    """Who could be chosen in the rounds that teach an oracle for these actions, (round, action)."""
    logged = batch.logged
    taught = np.array([name in actions for name in logged.actions])[logged.action]
    eligible = np.zeros((len(batch), len(actions)), dtype=np.bool_)
    for column, name in enumerate(actions):
        if name in logged.actions:
            eligible[:, column] = logged.eligible[:, logged.actions.index(name)]
    return eligible[taught]


def _tuned(
    tuned: Tuned, batch: MaturedBatch, features: Features, params: RefitParams, actions: tuple[str, ...]
) -> Exploration:
    """The rule that a quarter of the rounds choose, with an oracle that the others taught."""
    known = np.array([name in actions for name in batch.logged.actions])[batch.logged.action]
    kept = batch.rows(np.flatnonzero(known))
    keys = event_keys("tuning", kept.logged.system, kept.logged.event_ids.to_list())
    judging = uniforms(keys, 1)[:, 0] < TUNING_SHARE
    taught = training_set(kept.rows(~judging), features, params, actions)
    judged = kept.rows(judging)
    oracle = fit_oracle(params.oracle, taught, stream_seed(params.seed, "tuning"))
    scores = oracle.predict(encode(features, judged.logged.context))
    ordered = np.zeros((len(judged), len(judged.logged.actions)))
    for column, name in enumerate(judged.logged.actions):
        if name in actions:
            ordered[:, column] = scores[:, actions.index(name)]
    rule, _ = most_exploring(tuned.rules(), judged, Beliefs(ordered), tuned.cost)
    return rule


def training_set(
    batch: MaturedBatch,
    features: Features,
    params: RefitParams,
    actions: tuple[str, ...],
    changed_at: datetime | None = None,
    weight: NDArray[np.float64] | None = None,
) -> TrainingSet:
    """A batch as an oracle for these actions learns from it; rounds that took another one are left out. Those decided
    from changed_at on are its recent ones. weight (round,): how much each counts, beside the weighting."""
    logged = batch.logged
    number = np.array([actions.index(name) if name in actions else -1 for name in logged.actions])
    action = number[logged.action]
    taught = np.flatnonzero(action >= 0)
    kept = batch if len(taught) == len(batch) else batch.rows(taught)
    return TrainingSet(
        features=features,
        contexts=encode(features, kept.logged.context),
        action=action[taught],
        reward=kept.reward,
        described=described(actions, params.actions),
        weight=_weights(kept, params, None if weight is None else weight[taught]),
        recent=None if changed_at is None else (kept.logged.decided_at >= changed_at).to_numpy(),
    )


def _weights(
    batch: MaturedBatch, params: RefitParams, counted: NDArray[np.float64] | None
) -> NDArray[np.float64] | None:
    if params.weighting == "none":
        return counted
    inverse = 1 / batch.logged.propensity
    return inverse if counted is None else inverse * counted


def fit_on(batch: MaturedBatch, features: Features, params: OracleParams, seed: int) -> Oracle:
    """An oracle for a batch's own actions, fitted on all its rounds."""
    plain = RefitParams(default_action=batch.logged.actions[0])
    return fit_oracle(params, training_set(batch, features, plain, batch.logged.actions), seed)


def cost_predictions(
    costs: MaturedBatch, judged: LoggedBatch, features: Features, params: RefitParams
) -> NDArray[np.float64]:
    """What each action of judged rounds would cost, (round, action), by an oracle that closed rounds of a cost system
    taught; 0 for actions that it does not know."""
    known = costs.rows(~held_out(costs.logged, params.held_out))
    found = fit_on(known, features, params.oracle, stream_seed(params.seed, "costs")).predict(
        encode(features, judged.context)
    )
    ordered = np.zeros(judged.eligible.shape)
    for column, name in enumerate(costs.logged.actions):
        if name in judged.actions:
            ordered[:, judged.actions.index(name)] = found[:, column]
    return ordered


def rule_of_thumb(
    system: str,
    actions: tuple[str, ...],
    default_action: str,
    order: tuple[str, ...],
    epsilon: float,
    salt: str,
) -> Refit:
    """The team's own rule as a policy: preferred actions in order, any eligible one with probability ε."""
    refuse_default(default_action, actions)
    spec = PaymentsSpec("payments", system, actions, default_action, Features((), ()), 0.0, salt)
    oracle = preference(order, actions)
    return Refit(oracle, spec, policy_graph(oracle, EpsilonGreedy(epsilon=epsilon), spec))
