"""Reconcile a server with its declaration: apply the planned changes, and retry while the server starts."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

from structlog.stdlib import BoundLogger

from crypto_analytics.jobs.declarations import InvalidDeclaration
from crypto_analytics.runtime.retry import call_with_retries

Change = TypeVar("Change")
Declaration = TypeVar("Declaration")

_RESUMES = "correct the cause and run the job again; it resumes"


class NotReady(Exception):
    """The server cannot be reached or is still starting; a retry may succeed."""


class LoginRefused(Exception):
    """The server refuses the user name or the password."""


class UnsafeChange(Exception):
    """The declared state cannot be reached without losing data; nothing was changed."""


@dataclass(frozen=True)
class SetPassword:
    """Create a user, or set the password of an existing one."""

    user: str

    def __str__(self) -> str:
        return f"user {self.user}: password set"


def apply_changes(changes: Iterable[Change], apply: Callable[[Change], object], log: BoundLogger) -> int:
    """Apply ``changes`` in order, log each of them, and return their number."""
    number = 0
    for change in changes:
        apply(change)
        log.info("change_applied", change=str(change))
        number += 1
    return number


def run(
    read_declaration: Callable[[], Declaration],
    reconcile: Callable[[Declaration], int],
    *,
    wait_seconds: float,
    server_errors: tuple[type[Exception], ...],
    login_settings: str,
    stop: Event,
    log: BoundLogger,
) -> int:
    """Reconcile the server and return the exit code: 0, or 1 where it failed.

    ``read_declaration`` is called once and may raise InvalidDeclaration. ``reconcile`` returns the number of changes.
    It is called again for ``wait_seconds``, until ``stop`` is set, while it raises NotReady. ``server_errors`` are the
    client library's errors, ``login_settings`` the settings to correct after LoginRefused.
    """
    try:
        declaration = read_declaration()
        changes = call_with_retries(
            lambda: reconcile(declaration),
            retryable=NotReady,
            timeout_seconds=wait_seconds,
            stop=stop,
            on_retry=lambda error: log.warning("server_not_ready", error=str(error), next="nothing: it is retried"),
        )
    except InvalidDeclaration as error:
        return _fail(log, error, "correct ACCESS_FILE or the settings, then run the job again")
    except LoginRefused as error:
        return _fail(log, error, f"correct {login_settings}")
    except UnsafeChange as error:
        return _fail(log, error, "nothing was changed; correct the cause that the error names, then run the job again")
    except NotReady as error:
        return _fail(log, error, _RESUMES)
    except server_errors as error:
        return _fail(log, error, _RESUMES)
    log.info("reconciliation_finished", changes=changes)
    return 0


def _fail(log: BoundLogger, error: Exception, next_step: str) -> int:
    log.error("reconciliation_failed", error=str(error), next=next_step)
    return 1
