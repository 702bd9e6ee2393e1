"""The runtime decides rows alone and together, of any kind, by the manifest, and carries no weight."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.payments.exploration.inverse_gap import InverseGap
from models.payments.oracles.fixed import preference
from models.payments.policy import policy_graph
from quaestor.errors import UsageError
from quaestor.export.decide import decide
from quaestor.export.encoding import CategoryFeature, Features, NumericFeature
from quaestor.export.payments_policy import PaymentsPolicy
from quaestor.export.runtime import Runtime, load
from quaestor.export.single import SingleDecisions
from quaestor.export.spec import PaymentsSpec
from quaestor.log.ingest import ingest_file
from quaestor.randomness import event_keys, normals, uniform, uniforms
from quaestor.settings import Settings
from tests.conftest import ROOT
from tests.quaestor.export.conftest import Made, rows

PLATFORM = ROOT / "platform"
ACTIONS = ("a0", "a1", "a2", "a3")


@pytest.fixture(scope="session")
def runtime(made: Made) -> Runtime:
    return load(made.first.path, quiet=True)


def test_a_row_alone_is_decided_as_among_others_to_the_bit(runtime: Runtime) -> None:
    frame = rows(300)
    together = runtime.decide(frame)
    alone = runtime.decide(frame.to_dicts())
    in_one_row_frames = pl.concat([runtime.decide(frame[n : n + 1]) for n in range(50)])
    shuffled = runtime.decide(frame.sample(fraction=1, shuffle=True, seed=1)).sort("event_id")
    assert together[:50].equals(in_one_row_frames)
    assert shuffled.equals(together.sort("event_id"))
    for record, expected in zip(alone, together.to_dicts(), strict=True):
        assert record == expected


def test_many_rows_are_decided_as_few(runtime: Runtime) -> None:
    """More rows than go through the graph together."""
    frame = rows(10_000)
    assert runtime.decide(frame)[9000:].equals(runtime.decide(frame[9000:]))


def test_the_same_kind_comes_back(runtime: Runtime) -> None:
    frame = rows(5)
    expected = runtime.decide(frame)
    assert isinstance(runtime.decide(frame.row(0, named=True)), dict)
    assert isinstance(runtime.decide(frame.to_dicts()), list)
    arrow = runtime.decide(frame.to_arrow())
    assert type(arrow).__module__.startswith("pyarrow")
    assert pl.DataFrame(arrow).equals(expected)
    pandas = runtime.decide(frame.to_pandas())
    assert type(pandas).__name__ == "DataFrame"
    assert pandas["action"].tolist() == expected["action"].to_list()
    with pytest.raises(UsageError, match="Expected a mapping"):
        runtime.decide(7)


def test_every_choice_is_a_distribution_over_the_eligible(runtime: Runtime) -> None:
    decided = runtime.decide(rows(500))
    assert (decided["propensities"].list.sum() - 1).abs().max() < 1e-9
    assert decided["propensities"].list.min().min() > 0
    assert decided.select(pl.col("eligible").list.contains(pl.col("action")).all()).item()
    assert not decided["fallback"].any()


def test_actions_are_drawn_as_often_as_their_propensities_say(runtime: Runtime) -> None:
    """Σ 1[a]/p over the rounds where a was taken is the number of rounds where it was eligible, within 4 standard
    errors."""
    decided = runtime.decide(rows(20_000))
    for action in ACTIONS:
        rounds = decided.filter(pl.col("eligible").list.contains(action))
        weight = rounds.select(
            pl.when(pl.col("action") == action).then(1 / pl.col("propensity")).otherwise(0.0)
        ).to_series()
        error = weight.std() / len(weight) ** 0.5  # type: ignore[operator]
        assert abs(weight.mean() - 1) < 4 * error  # type: ignore[operator]


def test_what_the_bundle_decides_is_what_ingest_takes(settings: Settings, runtime: Runtime, tmp_path: Path) -> None:
    frame = rows(300).with_columns(
        numeric_x=pl.when(pl.int_range(pl.len()) % 50 == 0).then(float("inf")).otherwise("numeric_x")
    )
    runtime.decide(frame).write_parquet(tmp_path / "decisions.parquet")
    summary = ingest_file(settings.store, "decisions", tmp_path / "decisions.parquet")
    assert (summary.added, summary.refused) == (300, {})


def test_the_draw_and_the_noise_are_pure_functions_of_salt_system_and_event(runtime: Runtime) -> None:
    spec = runtime.bundle.policy.spec
    row = rows(1).row(0, named=True)
    record, draw = runtime.decide_one(row)
    key = event_keys(spec.salt, spec.system, [row["event_id"]])
    assert draw.seed == int(key[0])
    assert draw.noise == normals(key, 1).astype(np.float32)[0].tolist()
    assert uniform(draw.seed) == uniforms(key, 1)[0, 0]
    places = np.cumsum(record["propensities"])
    assert record["action"] == record["eligible"][int(np.searchsorted(places, uniform(draw.seed), side="right"))]


def _policy(**changes: Any) -> PaymentsPolicy:
    """A policy over one number from 0 to 100 and two categories, with changes to the number's declaration."""
    number = NumericFeature(
        "amount", 10.0, 5.0, **{"lowest": 0.0, "highest": 100.0, "when_missing": "fallback", **changes}
    )
    features = Features(
        (number,), (CategoryFeature("bank", ("A", "B")), CategoryFeature("currency", ("EUR", "USD"), "fallback"))
    )
    spec = PaymentsSpec("payments", "shop", ACTIONS, "a1", features, 0.1, "salt")
    return PaymentsPolicy(policy_graph(preference(("a2",), ACTIONS), InverseGap(gamma=10.0), spec), spec)


NORMAL: dict[str, Any] = {
    "event_id": "e", "decided_at": "2026-02-01T00:00:00Z", "numeric_amount": 5.0,
    "category_bank": "A", "category_currency": "EUR", "eligible": list(ACTIONS),
}  # fmt: skip

ABSTAINS: dict[str, tuple[dict[str, Any], bool]] = {
    "a normal row": ({}, False),
    "the lowest amount": ({"numeric_amount": 0.0}, False),
    "the highest amount": ({"numeric_amount": 100.0}, False),
    "a negative amount": ({"numeric_amount": -1e-9}, True),
    "an amount beyond the highest": ({"numeric_amount": 100.1}, True),
    "an absurd amount": ({"numeric_amount": 1e15}, True),
    "an amount beyond 32 bits": ({"numeric_amount": 1e300}, True),
    "infinity": ({"numeric_amount": float("inf")}, True),
    "minus infinity": ({"numeric_amount": float("-inf")}, True),
    "NaN": ({"numeric_amount": float("nan")}, True),
    "no amount": ({"numeric_amount": None}, True),
    "an unseen bank": ({"category_bank": "C"}, False),
    "no bank": ({"category_bank": None}, False),
    "an unknown currency": ({"category_currency": "XXX"}, True),
    "no currency": ({"category_currency": None}, True),
}


@pytest.mark.parametrize("name", ABSTAINS)
def test_outside_what_was_declared_the_default_is_taken_and_flagged(name: str) -> None:
    change, abstains = ABSTAINS[name]
    policy, row = _policy(), NORMAL | change
    record = SingleDecisions(policy, "it").decide(row)[0]
    (together,) = decide(policy, pl.DataFrame([row]), "it").to_dicts()
    assert together == record
    assert record["fallback"] is abstains
    if abstains:
        assert (record["action"], record["propensity"]) == ("a1", 1.0)
        assert record["propensities"] == [0.0, 1.0, 0.0, 0.0]
    amount = record["numeric_amount"]
    assert amount is None or np.isfinite(amount)


def test_a_missing_number_may_have_a_stand_in() -> None:
    row = NORMAL | {"numeric_amount": None}
    record = SingleDecisions(_policy(when_missing="stand_in"), "it").decide(row)[0]
    assert not record["fallback"]
    assert record["numeric_amount"] is None


def test_the_fallback_is_eligible_even_where_the_default_is_not() -> None:
    row = NORMAL | {"numeric_amount": -1.0, "eligible": ["a3", "a2"]}
    record = SingleDecisions(_policy(), "it").decide(row)[0]
    assert (record["eligible"], record["propensities"], record["action"]) == (["a2", "a3"], [1.0, 0.0], "a2")


def test_one_eligible_action_is_taken_for_sure_and_is_no_fallback() -> None:
    record = SingleDecisions(_policy(), "it").decide(NORMAL | {"eligible": ["a3"]})[0]
    assert (record["action"], record["propensity"], record["fallback"]) == ("a3", 1.0, False)


def test_absent_means_missing_in_a_row_and_what_is_not_read_is_kept() -> None:
    row = {"event_id": "e", "numeric_amount": 5.0, "category_currency": "EUR", "numeric_new": 3, "category_new": "x"}
    record = SingleDecisions(_policy(), "it").decide(row)[0]
    assert (record["fallback"], record["category_bank"], record["eligible"]) == (False, None, list(ACTIONS))
    assert (record["numeric_new"], record["category_new"]) == (3.0, "x")


BAD = {
    "no event": ({"event_id": None}, "event_id"),
    "an empty event": ({"event_id": ""}, "event_id"),
    "text for a number": ({"numeric_amount": "12"}, "numeric_amount must be a number"),
    "true for a number": ({"numeric_amount": True}, "numeric_amount must be a number"),
    "a list for a category": ({"category_bank": ["A"]}, "category_bank must be text"),
    "no eligible action": ({"eligible": []}, "empty"),
    "an unseen action": ({"eligible": ["a0", "b0"]}, "'b0' is not among"),
    "a number for the eligible": ({"eligible": 5}, "must be a list"),
    "a time without a zone": ({"decided_at": "2026-01-01T00:00:00"}, "zone"),
    "no time": ({"decided_at": "yesterday"}, "zone"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_gets_a_sentence(name: str) -> None:
    change, said = BAD[name]
    with pytest.raises(UsageError, match=said):
        SingleDecisions(_policy(), "it").decide(NORMAL | change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop("event_id"), "event_id"),
        (lambda rows: rows.drop("numeric_x"), "lacks numeric_x"),
        (lambda rows: rows.with_columns(event_id=pl.lit("same")), "of its own"),
        (lambda rows: rows.with_columns(event_id=pl.lit("")), "of its own"),
        (lambda rows: rows.with_columns(numeric_x=pl.lit("12")), "must be numbers"),
        (lambda rows: rows.with_columns(numeric_x=pl.lit(True)), "must be numbers"),
        (lambda rows: rows.with_columns(eligible=pl.lit(["a0", "zz"])), "'zz' is not among"),
        (lambda rows: rows.with_columns(eligible=pl.lit([], dtype=pl.List(pl.String))), "empty eligible set"),
        (lambda rows: rows.with_columns(decided_at=pl.lit("2026-01-01T00:00:00")), "zone"),
    ],
)
def test_bad_frames_get_a_sentence(runtime: Runtime, change: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        runtime.decide(change(rows(3)))


def test_no_rows_are_no_decisions(runtime: Runtime) -> None:
    assert len(runtime.decide(rows(3).head(0))) == 0


def test_importing_the_runtime_loads_neither_frames_nor_an_engine() -> None:
    """What makes its import fast: everything heavy waits until a bundle is loaded."""
    code = "import sys, quaestor.export.runtime\nprint(*{name.split('.')[0] for name in sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "numpy",
        "polars",
        "onnxruntime",
        "cryptography",
        "pydantic",
        "pandas",
        "duckdb",
        "scipy",
        "fastapi",
        "torch",
    }
    assert not heavy & set(found)


def test_nothing_in_the_runtime_can_run_code_that_it_reads() -> None:
    """The house's own modules behind a loaded and serving bundle: no deserialiser that runs code, and no eval."""
    forbidden = {"pickle", "cPickle", "joblib", "cloudpickle", "dill", "marshal", "shelve", "yaml", "torch"}
    runs_code = {"eval", "exec", "compile", "__import__"}
    waiting, seen = [*(PLATFORM / "quaestor" / "export").rglob("*.py")], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
            assert not forbidden & {name.split(".")[0] for name in names}, path
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            assert called not in runs_code, path
            files = [PLATFORM / name.replace(".", "/") for name in names if name.startswith("quaestor")]
            waiting += [
                file for stem in files for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.exists()
            ]
    assert len(seen) > 40


def test_deciding_one_row_needs_few_libraries(made: Made) -> None:
    code = (
        f"import sys\nfrom quaestor.export.runtime import load\nload({str(made.first.path)!r}, quiet=True)"
        ".decide({'event_id': 'e', 'numeric_x': 1.0})\nprint(*{name.split('.')[0] for name in sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    unwanted = {"pydantic", "pandas", "duckdb", "scipy", "fastapi", "torch", "sklearn", "prefect", "streamlit", "onnx"}
    assert not unwanted & set(found)
    assert not {"pickle5", "joblib", "cloudpickle", "dill", "yaml"} & set(found)
