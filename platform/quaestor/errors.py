"""Everything Quaestor refuses to do is one of these: a plain sentence and an exit code."""


class QuaestorError(Exception):
    """The work could not be done; the message says what was expected, what was found and what to do."""

    exit_code = 1


class UsageError(QuaestorError):
    """The request itself is wrong: an unknown key, a missing file, a value out of its range."""

    exit_code = 2


class GateRefusedError(QuaestorError):
    """The evidence does not allow this move."""

    exit_code = 3


class StoreBusyError(QuaestorError):
    """Another process holds the store for longer than we were willing to wait."""

    exit_code = 4


class StoreDamagedError(QuaestorError):
    """The store is not one that this version can read."""

    exit_code = 5


class DiskError(QuaestorError, OSError):
    """The disk takes nothing: it is full, read-only, broken or closed to this user. What is there is whole."""

    def __str__(self) -> str:
        return (
            f"{self.filename} cannot be written: {self.strerror}. What was there before is whole; make room, or give "
            "this user the right to write there, and run it again to go on."
        )


class LeaseHeldError(QuaestorError):
    """Another run is at the same work; the message says who, since when, and what to do."""

    exit_code = 4


class LeaseLostError(QuaestorError):
    """This run may not write any more: its lease ran out or was granted to another."""

    exit_code = 4


class OvertakenError(QuaestorError):
    """Another person or the canary gate moved the live policy first; the message says who and when."""

    exit_code = 4
