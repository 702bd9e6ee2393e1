"""Time, workers and faults of a simulated run: one worker moves at a time, and the seed decides which."""

from __future__ import annotations

import heapq
import random
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from quaestor import clock
from quaestor.errors import QuaestorError
from quaestor.store.fencing import Grant
from quaestor.store.holder import Holder

START = datetime(2026, 3, 1)
BEAT_SECONDS = 60.0


class Killed(BaseException):
    """The process is gone: nothing that unwinds it may touch the disk or the store any more."""


class ViolationError(AssertionError):
    """An invariant does not hold."""


@dataclass(frozen=True)
class Faults:
    """How often what goes wrong, as chances a step. Each seed has some of them and not others."""

    kill: float = 0.0
    power: float = 0.0
    freeze: float = 0.0
    disk_full: float = 0.0
    io_error: float = 0.0
    busy: float = 0.0
    clock: float = 0.0

    @staticmethod
    def drawn(draw: random.Random) -> Faults:
        """Some faults, at some rates."""
        highest = {"kill": 0.02, "power": 0.003, "freeze": 0.03, "disk_full": 0.01, "io_error": 0.01, "busy": 0.02,
                   "clock": 0.01}  # fmt: skip
        return Faults(**{name: draw.choice((0.0, 0.3, 1.0)) * rate for name, rate in highest.items()})


_CURRENT: ContextVar[Worker | None] = ContextVar("worker", default=None)


def current() -> Worker | None:
    """The worker that moves now; None while the simulation itself looks or prepares."""
    return _CURRENT.get()


@dataclass(eq=False)
class Worker:
    """A simulated process. It gives the turn away before every step on the store or the disk."""

    world: World
    name: str
    script: Callable[[Worker], None]
    context: Callable[[Worker, Callable[[], None]], None]
    number: int
    grants: list[tuple[Grant, datetime]] = field(default_factory=list)
    skew: timedelta = timedelta()
    frozen_until: datetime = START
    dead: bool = False
    over: bool = False
    ended: str = ""
    error: BaseException | None = None
    at: str = "start"

    def __post_init__(self) -> None:
        self.turn = threading.Semaphore(0)
        self.holder = Holder("simulated", self.number, str(self.number))
        self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self.thread.start()

    def now(self) -> datetime:
        """What this worker's clock says."""
        return self.world.now + self.skew

    def step(self, what: str) -> None:
        """Gives the turn away before a step; dies here where it was killed meanwhile."""
        if self.dead:
            raise Killed
        self.at = what
        self.world.turn.release()
        self.turn.acquire()
        if self.dead:
            raise Killed

    def _run(self) -> None:
        self.turn.acquire()
        _CURRENT.set(self)
        try:
            if not self.dead:
                with clock.told_by(self.now):
                    self.context(self, lambda: self.script(self))
                self.ended = "done"
        except Killed:
            self.ended = "killed"
        except (QuaestorError, OSError) as error:
            self.ended = f"{type(error).__name__}: {error}"
        except BaseException as error:
            self.error, self.ended = error, "failed"
        finally:
            self.over = True
            self.world.turn.release()


class World:
    """Simulated time, the workers, and what befalls them."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.faults = Faults.drawn(self.draw)
        self.now = START
        self.workers: list[Worker] = []
        self.turn = threading.Semaphore(0)
        self.full_until = START
        self.healed = False
        self.log: list[str] = []
        self.on_power_loss: Callable[[], None] = lambda: None
        self.on_move: Callable[[], None] = lambda: None
        self.on_beat: Callable[[Worker, Grant], None] = lambda _worker, _grant: None
        self.context: Callable[[Worker, Callable[[], None]], None] = lambda _worker, script: script()
        self._agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self._number = 0

    def at(self, moment: datetime, what: Callable[[], None]) -> None:
        """Plans something."""
        self._number += 1
        heapq.heappush(self._agenda, (moment, self._number, what))

    def start(self, name: str, script: Callable[[Worker], None]) -> Worker:
        """Starts a worker."""
        self._number += 1
        worker = Worker(self, f"{name}-{self._number}", script, self.context, self._number)
        if not self.healed and self.chance(self.faults.clock * 20):
            worker.skew = timedelta(seconds=self.draw.choice((-3600, -90, 45, 3600, 86_400 * 3650)))
        self.workers.append(worker)
        self.say(f"start {worker.name} (clock {worker.skew})")
        return worker

    def chance(self, probability: float) -> bool:
        """Whether something that befalls with this probability does."""
        return self.draw.random() < probability

    def say(self, line: str) -> None:
        """A line in the run's log, for whoever looks into a seed."""
        self.log.append(f"{self.now:%d %H:%M:%S} {line}")

    def run(self, until: datetime | None = None) -> None:
        """Runs all that is planned and started to its end, or until a moment."""
        while True:
            self.workers = [worker for worker in self.workers if not worker.over]
            while self._agenda and self._agenda[0][0] <= self.now:
                heapq.heappop(self._agenda)[2]()
            ready = [worker for worker in self.workers if worker.frozen_until <= self.now]
            if not ready:
                moments = [worker.frozen_until for worker in self.workers] + [entry[0] for entry in self._agenda[:1]]
                if not moments or (until is not None and min(moments) > until):
                    return
                self.now = max(self.now, min(moments))
                continue
            self._move(self.draw.choice(ready))

    def _move(self, worker: Worker) -> None:
        self.now += timedelta(seconds=self.draw.expovariate(1 / 8))
        self._beat()
        if not self.healed:
            self._befall(worker)
        if worker.over or worker.frozen_until > self.now:
            return
        self._give_turn(worker)
        if worker.over:
            self.say(f"{worker.name} ended: {worker.ended}")
        if worker.error is not None:
            raise worker.error
        self.on_move()

    def _befall(self, worker: Worker) -> None:
        faults = self.faults
        if self.chance(faults.power):
            self.power_loss()
        elif self.chance(faults.kill):
            self.say(f"kill {worker.name} at {worker.at}")
            worker.dead = True
        elif self.chance(faults.freeze):
            worker.frozen_until = self.now + timedelta(seconds=self.draw.choice((90, 600, 1500)))
            self.say(f"freeze {worker.name} at {worker.at} until {worker.frozen_until:%H:%M:%S}")
        elif self.chance(faults.disk_full):
            self.full_until = self.now + timedelta(seconds=self.draw.uniform(5, 900))
            self.say(f"disk full until {self.full_until:%H:%M:%S}")
        elif self.chance(faults.clock):
            worker.skew = timedelta(seconds=self.draw.choice((-3600, -600, 0, 600, 3600)))
            self.say(f"clock of {worker.name} is off by {worker.skew}")

    def power_loss(self) -> None:
        """Every process ends at once, and the disk keeps what it had been made to keep."""
        self.say("power loss")
        for worker in self.workers:
            worker.dead = True
        self._bury()
        self.on_power_loss()

    def heal(self) -> None:
        """Faults cease: clocks are right, the disk takes what is written, the frozen wake."""
        self.healed, self.full_until = True, self.now
        for worker in self.workers:
            worker.skew, worker.frozen_until = timedelta(), self.now

    def end(self) -> None:
        """Lets go of every thread."""
        for worker in self.workers:
            worker.dead = True
        self._bury()

    def _bury(self) -> None:
        for worker in self.workers:
            if not worker.over:
                self._give_turn(worker)
        self.workers = []

    def _give_turn(self, worker: Worker) -> None:
        worker.turn.release()
        if not self.turn.acquire(timeout=60):
            raise RuntimeError(f"{worker.name} does not give its turn back, at {worker.at}")

    def _beat(self) -> None:
        """Renews what living workers hold, as the thread does that each of them has."""
        for worker in self.workers:
            if worker.dead or worker.over or worker.frozen_until > self.now:
                continue
            for place, (grant, beaten) in enumerate(list(worker.grants)):
                if self.now - beaten >= timedelta(seconds=BEAT_SECONDS):
                    worker.grants[place] = (grant, self.now)
                    with clock.told_by(worker.now):
                        self.on_beat(worker, grant)
