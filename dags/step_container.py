"""Run a step of the batch as a task in Compose: its container, which `make compose-up AIRFLOW=1` created."""

from collections import deque
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowTaskTimeout
from step_failure import LINES, StepFailed

from crypto_analytics.batch import engine_container
from crypto_analytics.batch.step_definitions import Step


class StepContainer(BaseOperator):
    """Starts a step's container and waits for its end; nothing is created."""

    def __init__(self, *, step: Step, url: str, **options: Any) -> None:
        """Run ``step`` in the container whose part of the engine's API is ``url``."""
        super().__init__(task_id=step.name, **options)
        self.url = url

    def execute(self, context: Any) -> None:
        """Run the container, and copy its log into the task's.

        Raises:
            StepFailed: the container did not succeed.
        """
        last: deque[str] = deque(maxlen=LINES)
        try:
            exit_code = self._run(last)
            reason = engine_container.failure_reason(self.task_id, exit_code, last) if exit_code else ""
        except engine_container.EngineError as error:
            reason = str(error)
        except AirflowTaskTimeout:
            reason = f"timed out: it did not finish within {self.execution_timeout}, {self._stopped()}"
        if reason:
            self.log.error("%s failed: %s", self.task_id, reason)
            raise StepFailed(reason, list(last))

    def _run(self, last: deque[str]) -> int:
        container = engine_container.EngineContainer(self.url)
        since = engine_container.now()
        if not container.start():
            # A try whose process was lost left it running: a step never runs twice at the same time.
            self.log.info("%s runs already; this try continues with it", container.name)
        for line in container.follow(since):
            self.log.info("%s", line)
            last.append(line)
        return container.wait()

    def _stopped(self) -> str:
        try:
            self.on_kill()
        except engine_container.EngineError as error:
            return f"and could not be stopped: {error}"
        return "and was stopped"

    def on_kill(self) -> None:
        """Stop the container, when the task is ended in Airflow."""
        engine_container.EngineContainer(self.url).stop()
