"""What a user can mend: one line with what is wrong, why, and the command that mends it."""


class Problem(Exception):
    """The run cannot go on. ``what`` happened, its ``cause``, and ``mend``: the command to type next."""

    def __init__(self, what: str, cause: str, fix: str) -> None:
        super().__init__(f"{what}: {' '.join(cause.split())}; {fix}")
