"""Build an environment in which every variable that the programs of a local run read has an absurd value.

Python and libpq list their variables themselves. For the other programs, it has the documented variables and one of
each prefix. It leaves out PATH, without which no program is found, JAVA_HOME, which chooses the Java, and the
platform's settings.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterable

from psycopg.pq import Conninfo

NOWHERE = "/dev/null/absurd"  # not even root can create it
_PROXY = "http://127.0.0.1:9"  # no server listens there
_OPTIONS = "-XX:NoSuchOption -Dabsurd"  # Java does not start with it

_JAVA = ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "MAVEN_OPTS", "MAVEN_ARGS")
_KAFKA = ("KAFKA_OPTS", "KAFKA_HEAP_OPTS", "KAFKA_LOG4J_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS", "KAFKA_GC_LOG_OPTS")
_SPARK = ("SPARK_HOME", "SPARK_CONF_DIR", "SPARK_LOCAL_DIRS", "SPARK_MASTER_HOST", "SPARK_DAEMON_JAVA_OPTS",
          "PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON", "PYSPARK_SUBMIT_ARGS", "PYSPARK_GATEWAY_PORT", "HADOOP_HOME",
          "HADOOP_CONF_DIR", "HADOOP_OPTS", "HADOOP_USER_NAME", "YARN_CONF_DIR")  # fmt: skip
_LIBPQ = ("PGSYSCONFDIR", "PGLOCALEDIR", "PGTZ", "PGDATESTYLE", "PGGEQO", "PGDATA", "PSQLRC", "PSQL_PAGER")
_DBT = ("DBT_PROFILES_DIR", "DBT_PROJECT_DIR", "DBT_PROFILE", "DBT_TARGET", "DBT_TARGET_PATH", "DBT_LOG_PATH",
        "DBT_LOG_LEVEL", "DBT_LOG_FORMAT", "DBT_ENGINE_TARGET", "DBT_STATE", "DBT_DEFER", "DBT_FAIL_FAST",
        "DBT_FULL_REFRESH", "DBT_WARN_ERROR", "DBT_WARN_ERROR_OPTIONS", "DBT_USE_COLORS",
        "DBT_SEND_ANONYMOUS_USAGE_STATS", "DBT_VERSION_CHECK",
        "DBT_PARTIAL_PARSE", "DBT_STATIC_PARSER", "DBT_PRINTER_WIDTH", "DBT_INDIRECT_SELECTION",
        "DBT_CLEAN_PROJECT_FILES_ONLY", "DBT_RECORDER_MODE", "DBT_MACRO_DEBUGGING", "DBT_ENV_SECRET_ABSURD",
        "DBT_ENV_CUSTOM_ENV_ABSURD", "DO_NOT_TRACK")  # fmt: skip
_AIRFLOW = ("AIRFLOW_HOME", "AIRFLOW_CONFIG", "AIRFLOW__CORE__EXECUTOR", "AIRFLOW__CORE__DAGS_FOLDER",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AIRFLOW_CONN_ABSURD", "AIRFLOW_VAR_ABSURD")  # fmt: skip
_GATE = ("GX_HOME", "GX_ANALYTICS_ENABLED", "GX_CLOUD_MODE", "GX_CLOUD_ACCESS_TOKEN", "GX_CLOUD_ORGANIZATION_ID",
         "GX_CLOUD_BASE_URL", "GE_HOME", "GE_USAGE_STATS")  # fmt: skip
_SUPERSET = ("SUPERSET_CONFIG", "SUPERSET_CONFIG_PATH", "SUPERSET_HOME", "SUPERSET_ENV", "SUPERSET_SECRET_KEY",
             "FLASK_APP", "FLASK_ENV", "FLASK_DEBUG", "GUNICORN_CMD_ARGS", "WEB_CONCURRENCY")  # fmt: skip
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "ws_proxy", "wss_proxy", "socks_proxy")
_FILES = ("HOME", "TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
          "XDG_RUNTIME_DIR", "XDG_CONFIG_DIRS", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
          "CURL_CA_BUNDLE", "OPENSSL_CONF", "CLASSPATH", "LOG_DIR", "VIRTUAL_ENV", "AWS_CONFIG_FILE",
          "AWS_SHARED_CREDENTIALS_FILE", "KRB5_CONFIG", "KRB5CCNAME", "TZDIR", "LOCPATH", "ICU_DATA")  # fmt: skip
_PACKAGES = ("PIP_INDEX_URL", "PIP_TARGET", "PIP_USER", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PIP_CONFIG_FILE",
             "UV_INDEX_URL", "UV_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_CACHE_DIR", "UV_CONFIG_FILE")  # fmt: skip
_LOCALE = (
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_CTYPE",
    "LC_NUMERIC",
    "LC_TIME",
    "LC_COLLATE",
    "LC_MONETARY",
    "LC_MESSAGES",
)
_TERMINAL = {"COLUMNS": "1", "LINES": "1", "TERM": "absurd", "NO_COLOR": "1", "MAKELEVEL": "77", "CDPATH": NOWHERE}
_NUMBERS = {"OMP_NUM_THREADS": "-1", "ARROW_DEFAULT_MEMORY_POOL": "absurd", "PROMETHEUS_MULTIPROC_DIR": NOWHERE,
            "MALLOC_ARENA_MAX": "absurd", "USER": "absurd", "LOGNAME": "absurd", "PAGER": NOWHERE}  # fmt: skip


def python_variables() -> tuple[str, ...]:
    """Return the variables that this Python reads, from its own list."""
    output = subprocess.run([sys.executable, "--help-env"], capture_output=True, text=True, check=True).stdout
    return tuple(sorted(set(re.findall(r"^(PYTHON[A-Z0-9]+)", output, re.MULTILINE))))


def libpq_variables() -> tuple[str, ...]:
    """Return the variables of libpq's connection parameters, from its own list."""
    found = (option.envvar for option in Conninfo.get_defaults())
    return (*(name.decode() for name in found if name), *_LIBPQ)


def absurd() -> dict[str, str]:
    """Return only the absurd variables."""
    proxies = [*_PROXIES, *(name.upper() for name in _PROXIES)]
    return {
        **_set(python_variables(), NOWHERE),
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2",
        "PYTHONIOENCODING": "absurd",
        "PYTHONDONTWRITEBYTECODE": "1",
        **_set(libpq_variables(), "absurd"),
        "PGHOSTADDR": "192.0.2.1",
        "PGSSLMODE": "verify-full",
        "PGOPTIONS": "-c timezone=Absurd/Nowhere",
        **_set((*_JAVA, *_KAFKA), _OPTIONS),
        **_set((*_SPARK, *_DBT, *_AIRFLOW, *_GATE, *_SUPERSET, *_FILES, *_PACKAGES), NOWHERE),
        **_set(proxies, _PROXY),
        "no_proxy": "absurd.example",
        "NO_PROXY": "absurd.example",
        **_set(_LOCALE, "xx_YY.absurd"),
        "TZ": "Absurd/Nowhere",
        **_TERMINAL,
        **_NUMBERS,
    }


def absurd_environment(**settings: str) -> dict[str, str]:
    """Return the absurd variables, those that must be valid for programs to be found, and ``settings``."""
    needed = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "JAVA_HOME") if name in os.environ}
    return {**absurd(), **needed, **settings}


def _set(names: Iterable[str], value: str) -> dict[str, str]:
    return dict.fromkeys(names, value)
