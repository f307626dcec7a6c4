"""Compose the environment variables of every child process of the local run.

A child gets the variables that it is known to need, and no other: one that changes a single program's behaviour
(PGSSLMODE, JAVA_TOOL_OPTIONS, DBT_PROFILES_DIR, http_proxy, LC_ALL ...) never reaches it. The kinds of children:

- ``plain``: a server or a tool, which needs no setting of ours.
- ``service``: one of the platform's programs; also the settings of .env.example that the user has set.
- ``outside``: added for a child that connects to the real exchange: proxies and certificates.
- ``fetcher``: pip, uv, Maven and npm, which need a site's proxies, package index, certificates and home.
- ``launcher``: the process that starts all these, and so needs the variables of each.
- ``tests``: pytest. ``tools``: programs that drive docker, kubectl and helm, whose settings are the user's own.

Standard library only, and readable by an old Python: the bootstrap uses it.
"""

from __future__ import annotations

import os
import pwd
import re
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from ops.common.paths import ROOT, demo_dir

# Search paths of programs and libraries. Some builds of Python do not start without LD_LIBRARY_PATH.
_PROGRAMS = ("PATH", "LD_LIBRARY_PATH", "JAVA_HOME")
# The same for every child: UTF-8 for text and file names (Java too reads LANG), UTC for times, as the exchange's.
_FIXED = {"LANG": "C.UTF-8", "TZ": "UTC"}
_TERMINAL = ("TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR")
_PROXY_KINDS = ("http_proxy", "https_proxy", "ws_proxy", "wss_proxy", "all_proxy")
_PROXIES = (*_PROXY_KINDS, *(name.upper() for name in _PROXY_KINDS))
_NO_PROXY = ("no_proxy", "NO_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_LOOPBACK = "127.0.0.1,localhost,::1"
_CACHES = ("CRYPTO_ANALYTICS_CACHE", "XDG_CACHE_HOME")
_MAVEN = ("MAVEN_OPTS", "MAVEN_ARGS")
# A site's package index and how it is reached; no variable that changes which packages are installed, or where.
_PACKAGES = re.compile(
    r"PIP_(INDEX_URL|EXTRA_INDEX_URL|NO_INDEX|FIND_LINKS|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY|CONFIG_FILE|CACHE_DIR"
    r"|NO_CACHE_DIR|DEFAULT_TIMEOUT|TIMEOUT|RETRIES|KEYRING_PROVIDER)"
    r"|UV_(INDEX|INDEX_[A-Z0-9_]+|DEFAULT_INDEX|EXTRA_INDEX_URL|NO_INDEX|FIND_LINKS|OFFLINE|INSECURE_HOST|NATIVE_TLS"
    r"|SYSTEM_CERTS|CONFIG_FILE|CACHE_DIR|NO_CACHE|HTTP_TIMEOUT|KEYRING_PROVIDER|LINK_MODE|CONCURRENT_DOWNLOADS)"
    r"|npm_config_(registry|cafile)|NPM_CONFIG_(REGISTRY|CAFILE)"
    r"|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|NETRC|XDG_CONFIG_HOME|XDG_CONFIG_DIRS"
)
_TESTS = (
    "RECORDED_DATA_DIR",
    "RECORDED_FAULTS_DIR",
    "POSTGRES_BIN_DIR",
    "CI",
    "CHAOS_SEEDS",
    "PYTEST_ADDOPTS",
    "BATCH_DBT",
    "BATCH_PYTHON_GE",
)
_PSQL = ("PAGER", "PSQL_PAGER", "LESS", "EDITOR", "VISUAL", "PSQL_EDITOR", "PSQLRC", "PSQL_HISTORY")
# Settings that the run sets for each child, or that only the launcher reads.
_OF_THE_RUN = (
    "POSTGRES_",
    "KAFKA_",
    "S3_",
    "BUCKET_",
    "BINANCE_WS_URL",
    "BINANCE_REST_URL",
    "OBJECT_STORE",
    "METRICS_",
    "SPARK_",
    "AS_OF",
    "STREAM_TYPE",
    "SUPERSET_",
    "BATCH_PYTHON_",
    "BATCH_DBT",
    "BATCH_PROJECT_DIR",
    "DBT_",
    "DEMO_DIR",
    "API_HOST",
    "API_PORT",
    "API_TOKEN",
    "DASHBOARD_URL",
)
_NOT_FOR_TOOLS = ("PYTHON", "PG", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")


def plain(source: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a server or a tool: the search paths, and a home below DEMO_DIR."""
    return {**_shared(source), "HOME": str(_own_home())}


def service(source: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of one of the platform's programs; the run adds addresses and logins."""
    chosen = [name for name in settings() if not name.startswith(_OF_THE_RUN) and not name.endswith("_PASSWORD")]
    return {**plain(source), **_kept(source, chosen), **python()}


def outside(source: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies for the real exchange, never for loopback, and the trusted certificates."""
    proxies = _kept(source, _PROXIES)
    if proxies:
        exempt = [part for part in (source.get(name, "") for name in _NO_PROXY) if part]
        proxies |= dict.fromkeys(_NO_PROXY, ",".join([*exempt, _LOOPBACK]))
    return {**proxies, **_kept(source, _CERTIFICATES)}


def fetcher(source: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of pip, uv, Maven and npm."""
    names = [*_PROXIES, *_NO_PROXY, *_CERTIFICATES, *_CACHES, *_MAVEN, *filter(_PACKAGES.fullmatch, source)]
    return {**_shared(source), **_kept(source, names), "HOME": str(user_home(source)), **python()}


def launcher(source: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the process that starts the others, with the user's settings."""
    names = [*settings(), *_TERMINAL, *_PSQL, "POSTGRES_BIN_DIR"]
    return {**fetcher(source), **_kept(source, names), **python()}


def psql(source: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of psql, with the user's terminal, pager, editor and home."""
    return {**_shared(source), **_kept(source, [*_TERMINAL, *_PSQL]), "HOME": str(user_home(source))}


def tests(source: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of pytest: without the platform's settings, so that the user's change no result."""
    names = [*_TERMINAL, *_CACHES, *_MAVEN, *_TESTS]
    return {**_shared(source), **_kept(source, names), "HOME": str(user_home(source)), **python()}


def tools(source: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of docker, kubectl and helm: all variables except those that change Python and make."""
    return {**{name: value for name, value in source.items() if not name.startswith(_NOT_FOR_TOOLS)}, **python()}


KINDS = {"launcher": launcher, "tests": tests, "tools": tools}


def adopt(env: Mapping[str, str]) -> None:
    """Replace this process's environment by ``env``, for libraries that read it themselves (libpq)."""
    for name in os.environ.keys() - env.keys():
        del os.environ[name]
    os.environ.update(env)
    time.tzset()


def python() -> dict[str, str]:
    """Return the variables of every Python of the run: the path of our code, and a bytecode folder below DEMO_DIR.

    Bytecode is written because otherwise each of the many short processes would compile its libraries again.
    """
    return {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "services"), str(ROOT)]),
        "PYTHONPYCACHEPREFIX": str(demo_dir() / "pycache"),
        "DEMO_DIR": str(demo_dir()),
    }


def settings() -> tuple[str, ...]:
    """Return the names of all documented settings: those of .env.example."""
    return _names(ROOT / ".env.example")


def user_home(source: Mapping[str, str]) -> Path:
    """Return the user's home: HOME, else that of the password database, else the one below DEMO_DIR."""
    candidates = [Path(source.get("HOME") or "."), listed_home()]
    return next((home for home in candidates if home.is_absolute() and home.is_dir()), _own_home())


def listed_home() -> Path:
    """Return the home in the password database; in a container the user id may have no entry there."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return Path("/nonexistent")


@cache
def _names(example: Path) -> tuple[str, ...]:
    return tuple(dict.fromkeys(re.findall(r"^(?:# here: )?([A-Z][A-Z0-9_]*)=", example.read_text("utf-8"), re.M)))


def _shared(source: Mapping[str, str]) -> dict[str, str]:
    temporary = source.get("TMPDIR", "")
    usable = temporary.startswith("/") and Path(temporary).is_dir() and os.access(temporary, os.W_OK)
    return {**_kept(source, _PROGRAMS), **({"TMPDIR": temporary} if usable else {}), **_FIXED}


def _kept(source: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: source[name] for name in names if name in source}


def _own_home() -> Path:
    return demo_dir() / "home"
