"""The unprivileged user that PostgreSQL runs as where the run itself is root's: PostgreSQL refuses root."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ops.common import child_environment
from ops.common.errors import Problem
from ops.local.programs import Account

# Linux capability numbers (capabilities(7)), the weaker one first: read whatever the mode, or write too.
_CAPABILITIES = {"dac_read_search": 2, "dac_override": 1}
_FIX = "run as an ordinary user, or in a folder that every user may enter (chmod a+x its parents)"


def unprivileged(program: Path, *folders: Path) -> Account | None:
    """Return the user that runs ``program`` and enters ``folders``; None: this user, which is not root.

    Where a parent folder is closed to other users (/root, a private temporary folder), ``setpriv`` passes on the one
    capability to search and read beyond it, and nothing else.

    Raises:
        Problem: no user can run it.
    """
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam("nobody")
    except KeyError as error:
        raise Problem("PostgreSQL cannot run as root", "there is no user 'nobody' to run it as", _FIX) from error
    account = Account(user.pw_uid, user.pw_gid)
    if not all(_may_enter(folder.resolve(), account) for folder in (program, *folders)):
        account = Account(account.uid, account.gid, tuple(_launcher(account)))
    _check(program, account)
    return account


def as_account(account: Account | None) -> dict[str, object]:
    """Return the arguments by which subprocess.run changes to ``account``, where no launcher does that."""
    if account is None or account.launcher:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def _may_enter(path: Path, account: Account) -> bool:
    return all(_may_search(parent, account) for parent in path.parents)


def _may_search(folder: Path, account: Account) -> bool:
    status = folder.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & 0o100)
    if status.st_gid == account.gid:
        return bool(status.st_mode & 0o010)
    return bool(status.st_mode & 0o001)


def _launcher(account: Account) -> Iterable[str]:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise Problem("PostgreSQL cannot run as root", "its folders are private and setpriv is missing", _FIX)
    held = _effective_capabilities()
    usable = [name for name, number in _CAPABILITIES.items() if held >> number & 1]
    if not usable:
        raise Problem("PostgreSQL cannot run as root", "its folders are private and no capability opens them", _FIX)
    only = f"-all,+{usable[0]}"
    ids = [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--no-new-privs"]
    # PostgreSQL's programs find each other by access(2), which ignores capabilities without no_setuid_fixup.
    capabilities = [
        "--securebits=+no_setuid_fixup",
        f"--inh-caps={only}",
        f"--ambient-caps={only}",
        f"--bounding-set={only}",
    ]
    # INT: PostgreSQL's fast shutdown. setpriv sets the death signal, as a change of user clears the one set before.
    return [setpriv, *ids, *capabilities, "--pdeathsig=INT"]


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _check(program: Path, account: Account) -> None:
    done = subprocess.run(
        [*account.launcher, str(program), "--version"],
        capture_output=True,
        text=True,
        check=False,
        env=child_environment.plain(os.environ),
        **as_account(account),  # type: ignore[call-overload]
    )
    if done.returncode != 0:
        raise Problem("PostgreSQL cannot run as root", f"'nobody' cannot run {program}: {done.stderr}", _FIX)
