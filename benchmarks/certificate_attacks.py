"""Attacks against certificates: the strongest attack found beside the bound, for every certificate in a data folder.

`--study FILE` first trains and certifies a study's policy there, on demand or rounds that were ingested before. What
was done is kept as a retraining keeps it: a training goes on from its last epoch, a certificate is not made twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import Row, options, report, seconds
from flows import inventory_case, payments_case, payments_training
from flows.inventory_evidence import scenario_costs
from flows.inventory_problem import load_problem
from flows.inventory_study import InventoryStudy
from flows.inventory_training import train_policy
from flows.payments_study import PaymentsStudy
from flows.studies import read_study
from flows.yardsticks import REFERENCE, yardstick_params
from quaestor.certification.certificate import Certificate
from quaestor.clock import utc_now
from quaestor.registry.judging import CERTIFICATE
from quaestor.settings import Settings
from quaestor.store import evidence
from quaestor.study import parse

QUICK_EPOCHS, QUICK_EPISODES = 4, 60


def main() -> None:
    """Rows: study, iteration, budget, noise_scale, episodes, nominal, certified, attacked (strongest), attack, slack
    (how far the strongest attack stays from the bound, in percent of nominal), holds; the folder is QUAESTOR_DATA."""
    parser = options(__doc__)
    parser.add_argument("--study", type=Path, action="append", default=[], help="to be trained and certified first")
    arguments = parser.parse_args()
    for path in arguments.study:
        study = shortened(read_study(path)) if arguments.quick else read_study(path)
        took = seconds(partial(certified, study), 1)
        print(f"{study.system}: trained, certified and attacked in {took:.0f} s", flush=True)
    rows = [row for certificate, name in kept(Settings()) for row in rows_of(certificate, name)]
    report(rows, arguments.json)
    exceeded = [row for row in rows if not row["holds"]]
    print(f"{len(rows) - len(exceeded)} of {len(rows)} bounds hold against the strongest attack.")


def shortened(study: PaymentsStudy | InventoryStudy) -> PaymentsStudy | InventoryStudy:
    """A study with less training and fewer episodes: a worse policy and a wider bound, which hold as well."""
    certificate = replace(study.certificate, episodes=min(study.certificate.episodes, QUICK_EPISODES))
    if isinstance(study, PaymentsStudy):
        return replace(study, certificate=certificate)
    return replace(
        study,
        certificate=certificate,
        hdpo=replace(study.hdpo, epochs=min(study.hdpo.epochs, QUICK_EPOCHS)),
        yardsticks=replace(study.yardsticks, epochs=min(study.yardsticks.epochs, QUICK_EPOCHS)),
        smoothing=study.smoothing and replace(study.smoothing, steps=min(study.smoothing.steps, QUICK_EPOCHS)),
    )


def certified(study: PaymentsStudy | InventoryStudy) -> None:
    """Trains a study's policy and certifies it as its retraining would, without evaluation and verdict."""
    settings = Settings()
    if isinstance(study, PaymentsStudy):
        loaded = payments_training.load_rounds(settings, study, utc_now())
        incumbent = payments_training.ensure_incumbent(settings, study, loaded.batch.logged.actions)
        made, _ = payments_training.train(settings, study, loaded, incumbent, _say)
        payments_case.certify_candidate(settings, study, loaded, made, _say)
        return
    recorded, sigma = load_problem(settings, study), study.certificate.noise_scale
    reference, _ = train_policy(
        settings, study, recorded, yardstick_params(study)[REFERENCE], study.yardsticks, 0.0, "yardstick", None, _say
    )
    made, _ = train_policy(
        settings, study, recorded, study.policy, study.hdpo, sigma, "candidate", None, _say, study.smoothing
    )
    cost = float(scenario_costs(study, recorded, reference, recorded.problem.dev).mean())
    inventory_case.certify_candidate(settings, study, recorded, made, cost, _say)


def kept(settings: Settings) -> Iterator[tuple[Certificate, str]]:
    """Every certificate of a data folder, with the iteration it is of."""
    with settings.store.read() as connection:
        found = evidence.of_kind(connection, CERTIFICATE)
    for name, content in found.select("iteration_id", "content").iter_rows():
        yield parse(Certificate, json.loads(content), "certificate"), name


def rows_of(certificate: Certificate, name: str) -> list[Row]:
    """A row for each budget."""
    rows = []
    sign = 1 if certificate.subject.quantity == "cost" else -1
    for budget, bound, attacked in zip(
        certificate.params.budgets, certificate.bounds, certificate.attacked, strict=True
    ):
        tried = {each.name: each.mean for each in certificate.attacks_tried if each.budget == budget}
        tried = tried or {"the strongest tried": attacked}  # certificates once kept no others
        strongest, mean = max(tried.items(), key=lambda attack: sign * attack[1])
        slack = sign * (bound - mean)
        rows.append(
            {
                "study": certificate.subject.system,
                "iteration": name[:12],
                "budget": budget,
                "noise_scale": certificate.params.noise_scale,
                "episodes": certificate.episodes,
                "nominal": certificate.nominal,
                "certified": bound,
                "attacked": mean,
                "attack": strongest,
                "slack": 100 * slack / abs(certificate.nominal),
                "holds": slack >= 0,
            }
        )
    return rows


def _say(message: str) -> None:
    print(message, flush=True)


if __name__ == "__main__":
    main()
