"""Superset's configuration, from environment variables; Superset imports this module by its name.

Superset is one process without Redis or Celery: caches, rate limits and queries are kept in memory, and its metadata in
the database ``superset`` of the platform's PostgreSQL, which belongs to the role ``superset``.
"""

import os
import re
from collections.abc import Mapping
from typing import Any

from flask import Flask
from sqlalchemy.engine import URL

REQUIRED = {
    "SUPERSET_SECRET_KEY": "signs sessions; any long random text, which must stay the same at every start",
    "SUPERSET_PASSWORD": "password of the role superset in PostgreSQL",
    "READER_PASSWORD": "password of the role reader, which the dashboard's queries use",
}
ANALYTICS_ROLE = "reader"
LIVE_PAGE = "http://127.0.0.1:8000/"  # the address in assets/, and the default


def required(env: Mapping[str, str], name: str, meaning: str) -> str:
    """Return a required setting; exit with a message if it is not set."""
    value = env.get(name, "")
    if not value:
        raise SystemExit(f"{name} is not set: {meaning}. Set it (make env makes one for Compose) and start again")
    return value


def number(env: Mapping[str, str], name: str, default: int) -> int:
    """Return a setting that is a positive integer; exit with a message if it is not."""
    text = env.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise SystemExit(f"{name}: {text!r} is not a positive integer")
    return int(text)


def flag(env: Mapping[str, str], name: str) -> bool:
    """Return a setting that is true or false; exit with a message if it is neither."""
    text = (env.get(name) or "false").lower()
    if text not in ("true", "false"):
        raise SystemExit(f"{name}: {text!r} is neither true nor false")
    return text == "true"


def postgres_url(env: Mapping[str, str], role: str, database: str, password: str | None = None) -> URL:
    """Return the URL of a database on the platform's server."""
    query = {"sslmode": env.get("POSTGRES_SSLMODE") or "prefer", "application_name": "superset"}
    return URL.create(
        "postgresql+psycopg2",
        username=role,
        password=password,
        host=env.get("POSTGRES_HOST") or "127.0.0.1",
        port=number(env, "POSTGRES_PORT", 5432),
        database=database,
        query=query,
    )


def analytics_url(env: Mapping[str, str] = os.environ) -> URL:
    """Return the URL of the database that the dashboard reads, without a password."""
    return postgres_url(env, ANALYTICS_ROLE, env.get("POSTGRES_DB") or "crypto_analytics")


def live_page_url(env: Mapping[str, str] = os.environ) -> str:
    """Return the address of the live page for browsers; exit with a message if it is no address of a web page."""
    url = env.get("LIVE_PAGE_URL") or LIVE_PAGE
    if not re.fullmatch(r"https?://[^\s()]+", url):
        raise SystemExit(f"LIVE_PAGE_URL: {url!r} is not an address such as {LIVE_PAGE}")
    return url


_secrets = {name: required(os.environ, name, meaning) for name, meaning in REQUIRED.items()}
_https = flag(os.environ, "SUPERSET_HTTPS")

SECRET_KEY = _secrets["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = postgres_url(
    os.environ, "superset", "superset", _secrets["SUPERSET_PASSWORD"]
).render_as_string(hide_password=False)
# Enough connections for eight threads; PostgreSQL allows few. Each connection is tested before it is used.
SQLALCHEMY_ENGINE_OPTIONS = {"pool_size": 4, "max_overflow": 4, "pool_pre_ping": True}


def DB_CONNECTION_MUTATOR(  # noqa: N802  # Superset's name
    url: URL, options: dict[str, Any], username: str, security_manager: object, source: object
) -> tuple[URL, dict[str, Any]]:
    """Add the password to connections to the dashboard's database, so that Superset's metadata do not contain it.

    Databases that users add keep their own passwords.
    """
    wanted = analytics_url()
    if (url.username, url.host, url.port, url.database) == (
        wanted.username,
        wanted.host,
        wanted.port,
        wanted.database,
    ):
        url = url.set(password=_secrets["READER_PASSWORD"])
    return url, options


# Registration is disabled, and nothing can be seen without a login.
AUTH_USER_REGISTRATION = False
PUBLIC_ROLE_LIKE = None
AUTH_RATE_LIMITED = True
AUTH_RATE_LIMIT = "30 per minute"  # for each address; behind a port mapping all users have the same address
RATELIMIT_ENABLED = True
RATELIMIT_STORAGE_URI = "memory://"
RATELIMIT_APPLICATION = "200 per second"  # the first view of a dashboard loads a hundred files


def FLASK_APP_MUTATOR(app: Flask) -> None:  # noqa: N802  # Superset's name
    """Limit login attempts through the REST interface too; Superset limits only those through its page."""
    manager = app.appbuilder.sm  # type: ignore[attr-defined]
    login = app.view_functions["SecurityApi.login"]
    app.view_functions["SecurityApi.login"] = manager.limiter.limit(AUTH_RATE_LIMIT)(login)


SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = _https
PERMANENT_SESSION_LIFETIME = 12 * 60 * 60
ENABLE_PROXY_FIX = _https
WTF_CSRF_ENABLED = True

# The browser may load content from this server only: no telemetry, map tiles or fonts of others.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "default-src": ["'self'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'self'"],
        "object-src": ["'none'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": _https,
}

CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 500, "CACHE_DEFAULT_TIMEOUT": 300}
# Shorter than the dashboard's refresh interval: viewers share results, and none of them is out of date.
DATA_CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 200, "CACHE_DEFAULT_TIMEOUT": 20}
DASHBOARD_AUTO_REFRESH_MODE = "fetch"
CELERY_CONFIG = None
RESULTS_BACKEND = None

APP_NAME = "Crypto Analytics"
BUG_REPORT_URL = None
DOCUMENTATION_URL = None
FEATURE_FLAGS = {"DASHBOARD_RBAC": False, "ALERT_REPORTS": False}
SQL_MAX_ROW = 50_000
ROW_LIMIT = 10_000
SUPERSET_WEBSERVER_TIMEOUT = 60
LOG_LEVEL = os.environ.get("LOG_LEVEL") or "WARNING"
