"""The model card: a bundle in words, for whoever has to decide whether to deploy it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from quaestor.export.input_schema import input_schema
from quaestor.export.spec import InventorySpec, PaymentsSpec, Spec

Values = Mapping[str, Any]

_PAYMENTS_EXAMPLE = """\
import json, numpy as np, onnxruntime as ort
spec = json.load(open("spec.json"))
numeric = np.array([[feature["missing"] for feature in spec["features"]["numeric"]]], np.float32)
category = np.zeros((1, len(spec["features"]["category"])), np.int64)  # 0: any other level
session = ort.InferenceSession("policy.onnx")
inputs = {"numeric": numeric, "category": category, "eligible": np.ones((1, len(spec["actions"])), bool)}
inputs = {i.name: inputs.get(i.name, 0 * numeric) for i in session.get_inputs()}  # noise: none
(probabilities,) = session.run(["probabilities"], inputs)
print(dict(zip(spec["actions"], probabilities[0].tolist())))"""

_INVENTORY_EXAMPLE = """\
import json
import numpy as np
import onnxruntime as ort
tensors = json.load(open("manifest.json"))["inputs"]["tensors"]
session = ort.InferenceSession("policy.onnx")
inputs = {}
for name in (i.name for i in session.get_inputs()):  # every reading 1, without noise
    inputs[name] = np.full((1, *tensors[name.removeprefix("noise_")]["shape"]), "noise" not in name, np.float32)
(orders,) = session.run(["orders"], inputs)
print(dict(zip(map(tuple, json.load(open("spec.json"))["edges"]), orders[0].tolist())))"""


def model_card(spec: Spec, manifest: Values, evaluation: Values, certificate: Values) -> bytes:
    """The card as Markdown, from the bundle's other files alone."""
    parts = [
        f"# {_inline(spec.system)}: policy iteration {manifest['iteration_id'][:12]}",
        _what(spec),
        "## Where it comes from\n\n" + _table(("what", "value"), _origin(manifest)),
        "## Inputs\n\n" + _inputs(spec),
        "## Is it better?\n\n" + _evaluated(evaluation, manifest),
        "## What is certified\n\n" + _certified(certificate),
        "## Check it and use it\n\n" + _use(spec),
    ]
    return ("\n\n".join(parts) + "\n").encode()


def _what(spec: Spec) -> str:
    if isinstance(spec, InventorySpec):
        return (
            f"Orders on {len(spec.edges)} edges of a network of {len(spec.places)} places, {len(spec.stores)} of them "
            "stores, from stock, pipeline, past demand and calendar. Orders are feasible by construction."
        )
    return (
        f"Chooses one of {len(spec.actions)} interventions for a payment, with known probabilities: "
        f"{', '.join(map(_inline, spec.actions))}. When it cannot decide it takes "
        f"{_inline(spec.default_action)} and says so."
    )


def _origin(manifest: Values) -> list[tuple[str, str]]:
    lock = manifest["lock"]
    return [
        ("iteration", manifest["iteration_id"]),
        ("number in its system", str(manifest["serial"])),
        ("parents", ", ".join(name[:12] for name in manifest["parents"]) or "none"),
        ("policy", manifest["policy"]),
        ("data", manifest["data"]["digest"]),
        ("seed", str(manifest["seed"])),
        ("code", manifest["code"]),
        ("packages", f"{lock['packages']} packages, sha256 {lock['sha256']}"),
        ("verdict", f"{manifest['verdict']['stage']}: {' '.join(manifest['verdict']['reasons'])}"),
        ("exported against the verdict", manifest["override"] or "no"),
    ]


def _inputs(spec: Spec) -> str:
    schema = input_schema(spec)
    if not isinstance(spec, PaymentsSpec):
        rows = [(name, str(part["shape"]), part["unit"], part["what"]) for name, part in schema["tensors"].items()]
        return _table(("tensor", "shape of a row", "unit", "what"), rows)
    numbers = [
        (name, part["unit"], f"{_bound(part['lowest'])} to {_bound(part['highest'])}", part["missing"])
        for name, part in schema["numeric"].items()
    ]
    levels = [(name, str(part["levels"]), part["unseen_or_missing"]) for name, part in schema["category"].items()]
    return "\n\n".join(
        [
            _table(("number", "unit", "range (outside: fallback)", "when missing"), numbers),
            _table(("category", "levels", "when unseen or missing"), levels),
        ]
    )


def _evaluated(evaluation: Values, manifest: Values) -> str:
    found = evaluation["difference"]
    share = f"{found['confidence']:.0%}"
    rows = [
        (who, f"{part['value']:.6g}", f"{part['lower']:.6g} to {part['upper']:.6g}")
        for who, part in (
            ("this policy", evaluation["candidate"]),
            ("the one it was held against", evaluation["incumbent"]),
            ("difference, paired", found),
        )
    ]
    return (
        f"{evaluation['quantity'].capitalize()} ({evaluation['unit']}), {evaluation['estimator']}, "
        f"{evaluation['evaluated_on']}; held against {evaluation['incumbent_id'][:12]}.\n\n"
        + _table(("", "value", f"{share} interval"), rows)
    )


def _certified(certificate: Values) -> str:
    subject, params = certificate["subject"], certificate["params"]
    tried = [f"{value:.6g}" for value in certificate["attacked"]]
    columns = zip_longest(params["budgets"], certificate["bounds"], tried, fillvalue="none tried")
    rows = [(f"{budget:g}", f"{bound:.6g}", attack) for budget, bound, attack in columns]
    sign = "at most" if subject["quantity"] == "cost" else "at least"
    limits = "\n".join(f"- {_inline(limit)}" for limit in subject["not_covered"])
    return (
        f"Mean {subject['quantity']} of an episode ({subject['unit']}; {subject['episode']}), {sign} the bound against "
        f"every attack of the budget on what the policy sees, each at confidence {1 - params['alpha']:g}. Noise: "
        f"{subject['noise']}, scale {params['noise_scale']:g}. Environment: {subject['environment']}. Without attack: "
        f"{certificate['nominal']:.6g}. Valid until {certificate['expires_at']} UTC.\n\n"
        + _table(("budget", "certified bound", "strongest attack tried"), rows)
        + f"\n\nNot covered:\n\n{limits}"
    )


def _use(spec: Spec) -> str:
    example = _INVENTORY_EXAMPLE if isinstance(spec, InventorySpec) else _PAYMENTS_EXAMPLE
    return (
        "```\nquaestor verify THIS_BUNDLE --key trusted.pem\nquaestor decide THIS_BUNDLE --input rows.parquet "
        "--output decisions.parquet\n```\n\n```python\nfrom quaestor.export.runtime import load\n\n"
        'policy = load("THIS_BUNDLE", keys="trusted.pem")\n```\n\n'
        "The graph alone, in plain onnxruntime, without checks, noise or draw:\n\n```python\n" + example + "\n```"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return f"No {head[0]}."
    lines = [head, ["---"] * len(head), *([_inline(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _inline(text: str) -> str:
    """Text that stays text: names may come from anywhere, and a card is shown by many programs."""
    shown = "".join(letter if letter.isprintable() else "·" for letter in text)
    for mark in "\\`*[]<>|":
        shown = shown.replace(mark, "\\" + mark)
    return shown


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:.6g}"
