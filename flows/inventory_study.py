"""An inventory system's study: what it learns from, how, and what its evidence must show."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from models.inventory.demand_law import DemandLaw
from models.inventory.hdpo import HDPOParams
from models.inventory.policies.build import PolicyParams
from models.inventory.policies.graph import GraphParams
from models.smoothing.training import SmoothedTrainingParams
from quaestor.certification.certificate import CertificateParams
from quaestor.registry.gate import GateParams
from quaestor.study import of_kind, parse


@dataclass(frozen=True)
class Windows:
    """Which periods are for what: each pair is [first, past the last), `history` leading periods included.

    warmup: periods after the history that are played but not counted.
    """

    train: tuple[int, ...]
    dev: tuple[int, ...]
    test: tuple[int, ...]
    history: int = 16
    warmup: int = 16

    def __post_init__(self) -> None:
        for name, window in (("train", self.train), ("dev", self.dev), ("test", self.test)):
            if len(window) != 2 or window[1] - window[0] <= self.history + self.warmup or window[0] < 0:
                raise ValueError(
                    f"windows.{name} must be [first, past the last) with more than {self.history + self.warmup} "
                    f"periods (history and warm-up), found {list(window)}."
                )
        if (
            self.test[0] + self.history + self.warmup < self.dev[1]
            or self.dev[0] + self.history + self.warmup < self.train[1]
        ):
            raise ValueError("counted periods of train, dev and test must follow each other without overlap.")


@dataclass(frozen=True)
class DrawnDemand:
    """Demand drawn from a law where none is recorded: `scenarios` futures, cut by the study's windows like records."""

    law: DemandLaw
    scenarios: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scenarios < 2:
            raise ValueError(f"drawn.scenarios must be 2 or more, found {self.scenarios}.")


@dataclass(frozen=True)
class OwnTerms:
    """Costs and lead times of each scenario's own, for each store: from `file`, relative to the study, with columns
    product, store and some of holding_cost, underage_cost, unit_cost, lead_time; or drawn once by `seed`, costs evenly
    and lead times in whole periods, from [least, most]."""

    file: Path | None = None
    holding_cost: tuple[float, ...] = ()
    underage_cost: tuple[float, ...] = ()
    lead_time: tuple[int, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = {name: getattr(self, name) for name in ("holding_cost", "underage_cost", "lead_time")}
        given = {name: found for name, found in ranges.items() if found}
        if (self.file is None) != bool(given):
            raise ValueError("terms need either a file or ranges such as underage_cost = [6.3, 11.7].")
        for name, found in given.items():
            if len(found) != 2 or not 0 < found[0] <= found[1]:
                raise ValueError(f"terms.{name} must be [least, most] above 0, found {list(found)}.")


@dataclass(frozen=True)
class InventoryStudy:
    """An inventory system.

    network: a TOML file, relative to the study. products: how many, evenly spaced over the recorded ones; absent
    for all. demand: the system whose recorded demand is used, by default its own; drawn: a law to draw it from
    instead. scenario: whether a product is one future of the whole network, or each product in each store is one of
    a network with one store. terms: what each scenario has of its own. yardsticks are fitted by HDPO with their own
    settings. censored: whether sales of periods marked `stocked_out` only say that demand was at least as much.
    cap_multiple: the certificate's cap in multiples of the incumbent's dev cost.
    noise_draws: episodes played to evaluate the smoothed candidate. smoothing: how the trained policy is trained on
    under the certificate's noise; absent where it is not.
    """

    kind: Literal["inventory"]
    system: str
    network: Path
    windows: Windows
    certificate: CertificateParams
    policy: PolicyParams = field(default_factory=GraphParams)
    hdpo: HDPOParams = field(default_factory=HDPOParams)
    yardsticks: HDPOParams = field(default_factory=lambda: HDPOParams(epochs=30, learning_rate=0.05))
    smoothing: SmoothedTrainingParams | None = None
    gate: GateParams = field(default_factory=GateParams)
    demand: str | None = None
    drawn: DrawnDemand | None = None
    products: int | None = None
    scenario: Literal["product", "product and store"] = "product"
    terms: OwnTerms | None = None
    censored: bool = False
    cap_multiple: float = 1.5
    noise_draws: int = 4

    def __post_init__(self) -> None:
        recorded = self.censored or (self.demand, self.products, self.terms) != (None, None, None)
        if self.drawn is not None and (recorded or self.scenario != "product"):
            raise ValueError(
                "demand is drawn or recorded: remove [drawn], or demand, products, scenario, terms and censored."
            )
        if self.products is not None and self.products < 2:
            raise ValueError(f"products must be 2 or more, found {self.products}.")
        if self.policy.window > self.windows.history:
            raise ValueError(
                f"policy.window is {self.policy.window}, but only windows.history = {self.windows.history} periods are "
                "known at the start; lengthen the history or shorten the window."
            )
        if self.cap_multiple <= 0 or self.noise_draws < 1:
            raise ValueError("cap_multiple must be above 0 and noise_draws 1 or more.")


def read_inventory_study(path: Path) -> InventoryStudy:
    """Reads an inventory study; raises UsageError for anything it does not name. The network's path is made
    relative to the working directory."""
    mapping = of_kind(path, "inventory")
    if isinstance(mapping.get("network"), str):
        mapping["network"] = str(path.parent / str(mapping["network"]))
    terms = mapping.get("terms")
    if isinstance(terms, dict) and isinstance(terms.get("file"), str):
        mapping["terms"] = {**terms, "file": str(path.parent / terms["file"])}
    return parse(InventoryStudy, mapping, str(path))
