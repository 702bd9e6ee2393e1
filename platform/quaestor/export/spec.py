"""What a policy graph expects and returns, written beside it as spec.json."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from quaestor.errors import QuaestorError, UsageError
from quaestor.export.encoding import Features
from quaestor.study import parse

FORMAT = 1
_OLDEST = max(1, FORMAT - 2)


@dataclass(frozen=True)
class PaymentsSpec:
    """The inputs of a payments graph, and how its draws are named.

    The graph takes numeric (round, numeric feature), category (round, category feature), eligible (round,
    action) and noise (round, numeric feature; standard normal), adds noise × noise_scale × spread to the numbers
    and returns probabilities (round, action). The draw and the noise of an event are pure functions of (salt,
    system, event id).
    """

    kind: Literal["payments"]
    system: str
    actions: tuple[str, ...]
    default_action: str
    features: Features
    noise_scale: float
    salt: str
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.default_action not in self.actions:
            raise ValueError(f"default_action {self.default_action!r} is not among the actions.")


@dataclass(frozen=True)
class InventorySpec:
    """The inputs of an inventory graph, in units, and whom its orders belong to.

    The graph takes on_hand (row, place), in_transit (row, place, lead), past_demand (row, store, window),
    calendar (row, feature), each but the last with its noise, and returns feasible orders (row, edge). The
    noise is noise_scale × scale (row, place) × standard normal, scale being the mean demand through each place.
    own_terms: each row brings its holding_cost (row, place), underage_cost (row, store), unit_cost and lead_time
    (row, edge); otherwise they are the network's.
    """

    kind: Literal["inventory"]
    system: str
    places: tuple[str, ...]
    stores: tuple[str, ...]
    edges: tuple[tuple[str, ...], ...]
    lead: int
    window: int
    calendar: tuple[str, ...]
    noise_scale: float
    salt: str
    own_terms: bool = False
    format: int = FORMAT


Spec = PaymentsSpec | InventorySpec


def spec_json(spec: Spec) -> bytes:
    """The spec as JSON."""
    return json.dumps(asdict(spec), indent=1, sort_keys=True, ensure_ascii=False).encode()


def read_spec(content: bytes, where: str) -> Spec:
    """Reads a spec back; raises QuaestorError when it is not one that this version understands."""
    try:
        mapping = json.loads(content)
        if mapping.get("format") not in range(_OLDEST, FORMAT + 1):
            raise QuaestorError(f"{where}: expected format {FORMAT}, found {mapping.get('format')}. Export it again.")
        if mapping.get("kind") == "inventory":
            return parse(InventorySpec, mapping, where)
        return parse(PaymentsSpec, mapping, where)
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, UsageError) as error:
        raise QuaestorError(f"{where} is not a policy's spec: {error}") from None
