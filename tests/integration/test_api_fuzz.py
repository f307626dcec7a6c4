"""Any request that the OpenAPI document allows, and many that it does not, gets an answer that conforms, in time."""

import os
import subprocess
import sys
from pathlib import Path

from ops.common import child_environment
from tests.integration.test_api_clients import Market, market  # noqa: F401  # a fixture

LIMIT_SECONDS = 10  # the default of API_QUERY_SECONDS
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_no_request_fails_the_server_or_takes_too_long(
    market: tuple[Market, str],  # noqa: F811
    tmp_path: Path,
) -> None:
    _, address = market
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", f"http://{address}/openapi.json", f"--checks={CHECKS}",
            "--generation-deterministic", "--max-examples=25", "--no-shrink", "--max-time=25", "--workers=1",
            "--phases=examples,coverage,fuzzing", "--exclude-path-regex=/v1/live",
            f"--max-response-time={LIMIT_SECONDS}", f"--request-timeout={LIMIT_SECONDS}", "--no-color",
        ],
        env=child_environment.plain(os.environ),
        cwd=tmp_path,  # it keeps files of its own
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout
