"""Errors that the user can fix: one line with the failure, its cause, and the command that fixes it."""


class Problem(Exception):
    """A failure that the user can fix: ``what`` failed, its ``cause``, and ``fix``, the command to run next."""

    def __init__(self, what: str, cause: str, fix: str) -> None:
        super().__init__(f"{what}: {' '.join(cause.split())}; {fix}")
