"""What a real Prefect server does with the house's deployments and their runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelled, Cancelling, Crashed, Pending, Running, State

from flows.pool import TRIES, Lookout, interrupted, resume
from flows.server import local_server
from tests.conftest import ROOT
from tests.flows.operations import ask

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("one prefect server")]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of our own that knows the house's deployments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(tmp_path_factory.mktemp("prefect")))
        patch.setenv("QUAESTOR_OWN_SERVER", "yes")
        with local_server() as address:
            applied = subprocess.run(
                [sys.executable, "-m", "flows", "deploy"],
                cwd=ROOT, env={**os.environ, "PREFECT_API_URL": address}, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert applied.returncode == 0, applied.stderr
            yield address


@pytest.fixture
def client(url: str) -> Iterator[SyncPrefectClient]:
    with temporary_settings({PREFECT_API_URL: url}), get_client(sync_client=True) as connected:
        yield connected


@pytest.fixture(scope="module")
def dead() -> str:
    """A process of this machine that has ended, as the server knows processes."""
    ended = subprocess.Popen([sys.executable, "-c", "pass"])
    ended.wait()
    return str(ended.pid)


def inbox(client: SyncPrefectClient) -> UUID:
    return client.read_deployment_by_name("ingest-inbox/inbox").id


def begun(client: SyncPrefectClient, pid: str | None, *states: State) -> UUID:
    """A run of the inbox that came through these states with a process."""
    run = client.create_flow_run_from_deployment(inbox(client))
    for state in states:
        assert client.set_flow_run_state(run.id, state).status == "ACCEPT"
    if pid is not None:
        client.update_flow_run(run.id, infrastructure_pid=pid)
    return run.id


def end(client: SyncPrefectClient, run: UUID) -> None:
    """Gives back whatever it holds."""
    client.set_flow_run_state(run, Cancelled(), force=True)


def state_of(client: SyncPrefectClient, run: UUID) -> str | None:
    found: FlowRun = client.read_flow_run(run)
    return found.state_name


def test_bad_parameters_are_refused_by_the_server(url: str) -> None:
    found = {each["name"]: each["id"] for each in ask(url, "deployments/filter", {})}
    with pytest.raises(OSError, match=r"409|422"):
        ask(url, f"deployments/{found['favorita-demo']}/create_flow_run", {"parameters": {"study": 7}})


def test_a_run_whose_process_died_unseen_goes_on_and_frees_its_place(client: SyncPrefectClient, dead: str) -> None:
    """Two looks, so that a worker has time to say itself that a process ended."""
    run = begun(client, dead, Pending(), Running())
    lookout = Lookout()
    assert lookout.look(client) == []
    assert state_of(client, run) == "Running"
    (line,) = lookout.look(client)
    assert "goes on" in line
    assert state_of(client, run) == "AwaitingRetry"
    assert lookout.look(client) == []
    # one run at a time, and the place that it held is free again at once
    assert client.set_flow_run_state(run, Pending()).status == "ACCEPT"
    assert lookout.look(client) == []
    assert lookout.look(client) == []  # it names a dead process until it is started
    end(client, run)


def test_a_run_at_work_and_another_machines_are_left_alone(client: SyncPrefectClient, dead: str) -> None:
    for pid in (str(os.getpid()), f"{socket.gethostname()}:{os.getpid()}", f"another-machine:{dead}"):
        run = begun(client, pid, Pending(), Running())
        lookout = Lookout()
        assert [lookout.look(client) for _ in range(3)] == [[], [], []]
        assert interrupted(client, worker_lives=False) == []
        end(client, run)


def test_a_run_that_is_being_started_is_the_workers_while_it_lives(client: SyncPrefectClient) -> None:
    run = begun(client, None, Pending())
    lookout = Lookout()
    assert [lookout.look(client) for _ in range(3)] == [[], [], []]
    (found,) = interrupted(client, worker_lives=False)
    assert found.id == run
    resume(client, [found])
    end(client, run)


def test_a_shared_servers_runs_are_nobodys_to_judge(
    client: SyncPrefectClient, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect keeps the number of a process, not its machine."""
    run = begun(client, dead, Pending(), Running())
    monkeypatch.delenv("QUAESTOR_OWN_SERVER")
    assert interrupted(client, worker_lives=False) == []
    end(client, run)


def test_a_run_that_somebody_was_cancelling_ends(client: SyncPrefectClient, dead: str) -> None:
    run = begun(client, dead, Pending(), Running(), Cancelling())
    resume(client, interrupted(client, worker_lives=False))
    assert state_of(client, run) == "Cancelled"


def test_a_crashed_run_goes_on_a_few_times(client: SyncPrefectClient, dead: str) -> None:
    run = begun(client, dead, Pending(), Running(), Crashed())
    for tried in range(1, TRIES + 1):
        assert state_of(client, run) == "Crashed"
        found = interrupted(client, worker_lives=True)
        assert [each.id for each in found] == ([run] if tried < TRIES else [])
        resume(client, found)
        if found:
            for state in (Pending(), Running(), Crashed()):
                assert client.set_flow_run_state(run, state).status == "ACCEPT"
