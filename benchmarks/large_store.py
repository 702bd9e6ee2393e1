"""Fills a store with as many decisions and iterations as a console must bear, in SQL: events by the day over a year."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.large_evidence import EVIDENCE, policy_files, scenarios_of
from models.inventory.network import read_network
from quaestor.atomic import write_folder
from quaestor.clock import utc_now
from quaestor.registry.canonical import canonical_json, digest_of
from quaestor.registry.gate import Stage
from quaestor.registry.iteration import Inputs
from quaestor.settings import Settings
from quaestor.simulation.scenarios import SCENARIOS
from quaestor.store import Connection, audit, evidence, iterations, networks, round_hours
from quaestor.store.audit import Entry

DAYS = 365
PAYMENTS, SMALL, INVENTORY = "checkout", "checkout-small", "shops"
NETWORK = Path("data/studies/inventory/favorita.network.toml")
ATTRIBUTION_HOURS = 72.0


def fill(settings: Settings, decisions: int, count: int) -> None:
    """Fills an empty store with so many decisions, and so many iterations, a quarter of them of order policies."""
    start = utc_now() - timedelta(days=DAYS)
    with settings.store.write() as connection:
        _iterations(connection, settings, count, start)
    with settings.store.write() as connection:
        _events(connection, decisions, start)
        _files(connection, start)
        _quarantine(connection, min(50_000, decisions // 100), start)
    with settings.store.write() as connection:
        round_hours.tell_anew(connection)


def _events(connection: Connection, decisions: int, start: datetime) -> None:
    connection.execute("create temp macro drawn(i, stream) as (hash(i, stream) % 1000000)::bigint")
    named = {"n": decisions, "start": start, "step": DAYS * 86_400_000_000 // decisions}
    connection.execute(
        "insert into context_schemas values "
        "('schema', ['amount', 'age', 'hour', 'retries'], ['issuer', 'country', 'scheme'])"
    )
    connection.execute("insert into eligible_sets values (1, ['card', 'token', 'retry', 'challenge'])")
    connection.execute(
        f"""
        insert into decisions by name
        select *, hash(system, event_id) as key_hash from (
            select case when i % 10 = 0 then '{SMALL}' else '{PAYMENTS}' end as system,
                'e' || lpad(i::varchar, 12, '0') as event_id,
                $start::timestamp + to_microseconds(i * $step) as decided_at,
                'iteration-' || (i * 100 // $n) as iteration_id, 'schema' as schema_id,
                [drawn(i, 1) % 1000 / 10.0, drawn(i, 2) % 90, i % 24, drawn(i, 3) % 4] as numeric_features,
                ['I' || drawn(i, 4) % 20, 'C' || drawn(i, 5) % 8, 'S' || drawn(i, 6) % 3] as category_features,
                1 as eligible_id, [0.1, 0.2, 0.3, 0.4] as propensities,
                ['card', 'token', 'retry', 'challenge'][drawn(i, 7) % 4 + 1] as action,
                [0.1, 0.2, 0.3, 0.4][drawn(i, 7) % 4 + 1] as propensity, drawn(i, 8) % 500 = 0 as fallback,
                'decisions-' || (i * {DAYS} // $n) as file_digest
            from range($n) t(i)
        )
        """,
        named,
    )
    connection.execute(
        f"""
        insert into outcomes by name
        select * exclude (i), hash(system, event_id) as key_hash from (
            select case when i % 10 = 0 then '{SMALL}' else '{PAYMENTS}' end as system,
                'e' || lpad(i::varchar, 12, '0') as event_id, revision::integer as revision, i,
                $start::timestamp + to_microseconds(i * $step) as decided_at,
                $start::timestamp + to_microseconds(i * $step + (drawn(i, 9 + revision) % 345600) * 1000000)
                    as observed_at,
                (drawn(i, 20 + revision) % 5 <> 0)::integer::double as reward,
                'outcomes-' || (i * {DAYS} // $n) as file_digest
            from range($n) t(i), (values (0), (1)) r(revision)
            where drawn(i, 11) % 10 <> 0 and (revision = 0 or drawn(i, 12) % 200 = 0)
        ) where observed_at < $start::timestamp + to_days({DAYS})
        """,
        named,
    )
    connection.execute(
        f"""
        insert into demand by name
        select *, hash(system, product, store, period) as key_hash from (
            select '{INVENTORY}' as system, 'P' || lpad(p::varchar, 3, '0') as product, 'store-' || s as store,
                t::integer as period, date '2013-01-01' + (7 * t)::integer as starts_on,
                (drawn(p * 7919 + s, t) % 40)::double as units, 'demand' as file_digest
            from range({max(2, min(300, decisions // 30_000))}) a(p), range(20) b(s), range(171) c(t)
        )
        """
    )


def _files(connection: Connection, start: datetime) -> None:
    for kind in ("decisions", "outcomes"):
        connection.execute(
            f"""
            insert into ingested_files
            select file_digest, '{kind}-' || file_digest || '.parquet', '{kind}',
                json_object('rows', count(*), 'added', count(*), 'duplicate', 0, 'quarantined', 0, 'released', 0),
                $start::timestamp + to_days(split_part(file_digest, '-', 2)::integer + 1)
            from {kind} group by file_digest
            """,
            {"start": start},
        )
    connection.execute(
        "insert into ingested_files select 'demand', 'demand.parquet', 'demand', json_object('rows', count(*), "
        "'added', count(*), 'duplicate', 0, 'quarantined', 0, 'released', 0), $start::timestamp from demand",
        {"start": start},
    )


def _quarantine(connection: Connection, rows: int, start: datetime) -> None:
    connection.execute(
        f"""
        insert into quarantine
        select 'row-' || i, '{PAYMENTS}', 'outcomes', case when i % 3 = 0 then 'unknown_decision' else 'bad_reward' end,
            'reward must be between 0 and 1, found ' || i, json_object('event_id', 'x' || i, 'reward', i::varchar),
            i, 'outcomes-' || i % {DAYS}, $start::timestamp + to_hours(i % {24 * DAYS}), null
        from range($n) t(i)
        """,
        {"n": rows, "start": start},
    )


def _iterations(connection: Connection, settings: Settings, count: int, start: datetime) -> None:
    network = read_network(NETWORK)
    content = canonical_json(asdict(network))
    network_id = digest_of(json.loads(content))
    networks.add(connection, network_id, network.name, content)
    files = policy_files(network, INVENTORY)
    folder = f"iterations/{'0' * 64}"
    write_folder(settings.data / folder, files)
    digests = {name: hashlib.sha256(found).hexdigest() for name, found in files.items()}
    kept = scenarios_of(network, network_id)
    previous: dict[str, str] = {}
    for number, system in zip(range(count), _systems(), strict=False):
        stocked = system == INVENTORY
        data = {"network_id": network_id} if stocked else _learnt_from(number, start + timedelta(days=DAYS))
        inputs = Inputs(system, "graph" if stocked else "logistic", {"role": "candidate"}, data, number, "code")
        parent = previous.get(system)
        manifest = {**asdict(inputs), "parent_id": parent, "files": digests if stocked else {}}
        name = digest_of(manifest)
        at = start + timedelta(days=DAYS) * (number / count)
        iterations.add(
            connection, iteration_id=name, system=system, parent_id=parent, inputs_digest=name, policy=inputs.policy,
            manifest=canonical_json(manifest), folder=folder, created_at=at,
        )  # fmt: skip
        audit.add(connection, Entry("bench", "register", system, name, inputs.policy))
        _judged(connection, system, name, parent or name, kept | {"yardsticks": {"base stock": name}}, number)
        if number % 4 == 0 or parent is None:
            audit.point(connection, system, name)
            audit.add(connection, Entry("bench", "promote", system, name, "agreed", parent))
        previous[system] = name


def _judged(
    connection: Connection, system: str, name: str, incumbent: str, scenarios: dict[str, Any], number: int
) -> None:
    stocked = system == INVENTORY
    used = []
    for kind, (against, content) in EVIDENCE["inventory" if stocked else "payments"](incumbent, number).items():
        used.append(evidence.add(connection, name, kind, canonical_json(content), incumbent if against else None))
    if stocked:
        evidence.add(connection, name, SCENARIOS, canonical_json(scenarios), incumbent)
    stage = (Stage.PROMOTE, Stage.NOT_ENOUGH, Stage.REJECT, Stage.PROMOTE)[number % 4]
    reasons = (f"The candidate's gain is what it is: {number}.", "Certified at budget 0.03.")
    evidence.add_verdict(connection, name, incumbent, stage, reasons, tuple(used))
    audit.add(connection, Entry("bench", "verdict", system, name, f"{stage}: {' '.join(reasons)}", incumbent))


def _systems() -> Iterator[str]:
    while True:
        yield from (PAYMENTS, PAYMENTS, SMALL, INVENTORY)


def _learnt_from(number: int, until: datetime) -> dict[str, Any]:
    draw = np.random.default_rng(number)
    counts = draw.integers(10_000, 90_000, 4).tolist()
    return {
        "digest": f"rounds-{number}",
        "as_of": (until - timedelta(days=1)).isoformat(timespec="seconds"),
        "attribution_hours": ATTRIBUTION_HOURS,
        "default_reward": 0.0,
        "rounds": sum(counts),
        "statuses": {"expired": counts[0] // 10, "matured": sum(counts), "pending": 1000},
        "fallbacks": 10,
        "negative_rate": 0.2,
        "defaulted_share": 0.02,
        "actions": dict(zip(("card", "token", "retry", "challenge"), counts, strict=True)),
        "iterations": {"rule": sum(counts)},
        "propensity_histogram": [0, 0, 10, 100, 1000, 2000, 3000, 200, 10],
        "effective_size": 0.7 * sum(counts),
    }
