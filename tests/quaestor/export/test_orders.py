"""Orders over HTTP: the same strictness, records, roles and hot swap as decisions on payments."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from quaestor.errors import UsageError
from quaestor.export.card import _use
from quaestor.export.input_schema import input_schema
from quaestor.export.inventory_policy import InventoryPolicy
from quaestor.export.records import RecordParams, Records
from quaestor.export.runtime import load
from quaestor.export.service.app import application
from quaestor.export.service.deployment import Deployment
from quaestor.export.service.gate import Gate, GateParams
from quaestor.export.service.refusal import STATUS
from quaestor.randomness import event_keys, normals
from tests.quaestor.export.conftest import KEY, TRUSTED
from tests.quaestor.export.orders import EDGES, LEVEL, order_bundle, order_graph, order_rows, order_spec

ROW = order_rows(1)[0]


@dataclass
class Service:
    """A running application and a way to ask it."""

    gate: Gate
    deployment: Deployment
    records: Records
    link: Path

    def ask(self, path: str, body: Any = None) -> httpx.Response:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()

        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.gate, raise_app_exceptions=False)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request("GET" if body is None else "POST", path, content=content)

        return asyncio.run(once())

    def point(self, bundle: Path) -> None:
        replacement = self.link.with_name("next")
        replacement.symlink_to(bundle)
        os.replace(replacement, self.link)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    link, folder = tmp_path / "live", tmp_path / "records"
    link.symlink_to(order_bundle(tmp_path / "first", 1, KEY).path)
    deployment = Deployment(link, folder, TRUSTED)
    records = Records(folder, RecordParams(flush_seconds=3600, seal_seconds=3600))
    gate = application(deployment, records, GateParams(("localhost",), upstream=True))
    yield Service(gate, deployment, records, link)
    records.close()


def test_orders_are_the_runtimes_and_retries_change_nothing(service: Service) -> None:
    rows = order_rows(3)
    answers = service.ask("/v1/orders", rows).json()
    decided = pl.DataFrame(load(service.link, TRUSTED, quiet=True).decide(rows))
    for row, answer in zip(rows, answers, strict=True):
        assert (answer["product"], answer["period"]) == (row["product"], row["period"])
        expected = decided.filter(pl.col("product") == row["product"]).select("source", "target", "units")
        assert answer["orders"] == expected.to_dicts()
    assert service.ask("/v1/orders", rows[1]).json() == answers[1]
    again = service.ask("/v1/orders", {**rows[1], "calendar": [0.6]})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


def test_what_was_seen_and_the_noise_are_recorded_and_make_the_orders_again(service: Service) -> None:
    service.ask("/v1/orders", order_rows(5))
    service.ask("/v1/orders", order_rows(5))
    service.records.close()
    folder = service.records.folder
    (orders,), (draws,) = ((list((folder / kind).glob("*.parquet"))) for kind in ("orders", "draws"))
    together = pl.read_parquet(orders).join(pl.read_parquet(draws), on=("system", "product", "period"))
    assert len(together) == 5
    spec = order_spec()
    for row in together.to_dicts():
        name = f"stock:{row['product']}:{row['period']}"
        assert row["noise_on_hand"] == normals(event_keys(spec.salt, spec.system, [name]), 9)[0, :3].tolist()
        seen = np.array(row["on_hand"]) + spec.noise_scale * np.array(row["scale"]) * row["noise_on_hand"]
        assert np.allclose(row["units"], np.maximum(LEVEL - seen, 0), atol=1e-5)
        assert list(zip(row["sources"], row["targets"], strict=True)) == list(EDGES)


def _raw(name: str, text: str) -> bytes:
    return json.dumps({**ROW, name: "HERE"}).replace('"HERE"', text).encode()


BAD: dict[str, tuple[Any, str, str | None]] = {
    "NaN": (_raw("calendar", "[NaN]"), "out_of_range", "calendar"),
    "Infinity": (_raw("on_hand", "[1, 2, Infinity]"), "out_of_range", "on_hand"),
    "1e400": (_raw("on_hand", "[1, 2, 1e400]"), "out_of_range", "on_hand"),
    "beyond a graph's numbers": (_raw("on_hand", "[1, 2, -1e39]"), "out_of_range", "on_hand"),
    "text for a number": ({**ROW, "on_hand": [1, 2, "3"]}, "wrong_type", "on_hand"),
    "true for a number": ({**ROW, "on_hand": [1, 2, True]}, "wrong_type", "on_hand"),
    "nothing for a number": ({**ROW, "on_hand": [1, 2, None]}, "wrong_type", "on_hand"),
    "too few": ({**ROW, "on_hand": [1, 2]}, "wrong_type", "on_hand"),
    "too deep": ({**ROW, "on_hand": [[1], [2], [3]]}, "wrong_type", "on_hand"),
    "too flat": ({**ROW, "in_transit": [1, 2, 3]}, "wrong_type", "in_transit"),
    "a number for a list": ({**ROW, "scale": 4}, "wrong_type", "scale"),
    "a half period": ({**ROW, "period": 1.5}, "wrong_type", "period"),
    "a period before time": ({**ROW, "period": -1}, "wrong_type", "period"),
    "no period": ({**ROW, "period": None}, "missing_field", "period"),
    "no readings": ({"product": "p", "period": 1}, "missing_field", "on_hand"),
    "a misspelt field": ({**ROW, "onhand": [1]}, "unknown_field", "onhand"),
    "no product": ({**ROW, "product": ""}, "wrong_type", "product"),
    "a product that is a number": ({**ROW, "product": 3}, "wrong_type", "product"),
    "duplicate keys": (b'{"product":"p","product":"q"}', "bad_json", None),
    "no rows": ([], "too_many_rows", None),
    "too many rows": ([ROW] * 101, "too_many_rows", None),
}


def test_a_bad_request_gets_its_code_and_field_and_leaves_no_record(service: Service) -> None:
    for name, (body, code, field) in BAD.items():
        answer = service.ask("/v1/orders", body)
        found = answer.json()
        assert (found["code"], found.get("field"), answer.status_code) == (code, field, STATUS[code]), name
    assert service.records.waiting == 0


def test_another_bundle_takes_over_unless_its_network_is_another(service: Service, tmp_path: Path) -> None:
    before = service.ask("/v1/orders", ROW).json()
    service.point(order_bundle(tmp_path / "second", 2, KEY, level=30.0).path)
    assert service.ask("/v1/reload", {}).json()["swapped"] is True
    assert service.ask("/v1/orders", ROW).json() == before, "what was ordered stays ordered"
    after = service.ask("/v1/orders", {**ROW, "product": "other"}).json()
    assert after["iteration_id"] != before["iteration_id"]
    service.point(order_bundle(tmp_path / "third", 3, KEY, window=5).path)
    refused = service.ask("/v1/reload", {}).json()
    assert refused["code"] == "bundle_refused"
    assert "other window" in refused["message"]


def test_the_schema_names_what_a_row_needs() -> None:
    for own_terms in (False, True):
        spec = replace(order_spec(), own_terms=own_terms)
        tensors = input_schema(spec)["tensors"]
        shapes = InventoryPolicy(order_graph(), spec).shapes()
        assert {name: tuple(part["shape"]) for name, part in tensors.items()} == shapes


def test_an_orders_service_has_its_own_routes_and_document(service: Service) -> None:
    assert service.ask("/v1/decide", b"{}").json()["code"] == "not_found"
    document = service.ask("/openapi.json").json()
    assert set(document["paths"]) == set(service.gate.roles) - {"/openapi.json"}
    row = document["paths"]["/v1/orders"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"][0]
    assert set(row["properties"]) == set(ROW)
    assert (row["properties"]["in_transit"]["minItems"], row["properties"]["in_transit"]["items"]["minItems"]) == (3, 2)


def test_a_row_alone_needs_what_a_row_has(service: Service) -> None:
    single = service.deployment.live.runtime.single_orders
    for change in ({"product": 1}, {"period": "1"}, {"on_hand": [1, 2]}, {"in_transit": "none"}, {"scale": None}):
        with pytest.raises(UsageError):
            single.decide({**ROW, **change})
    with pytest.raises(UsageError, match="inventory system"):
        _ = service.deployment.live.runtime.single


def test_the_example_on_the_card_runs_in_plain_onnxruntime(service: Service) -> None:
    card = _use(order_spec())
    example = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[-1]
    folder = service.deployment.live.bundle.path.resolve()
    done = subprocess.run([sys.executable, "-c", example], cwd=folder, capture_output=True, text=True, check=True)
    assert len(example.strip().splitlines()) <= 10
    assert eval(done.stdout) == dict.fromkeys(EDGES, LEVEL - 1)
