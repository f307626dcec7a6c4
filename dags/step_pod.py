"""Run a step of the batch as a task: one pod, created from the template that the chart rendered for it."""

from pathlib import Path
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import ApiException
from step_failure import LINES, StepFailed

from crypto_analytics.batch import pod_diagnosis
from crypto_analytics.batch.step_definitions import Step


class StepPod(KubernetesPodOperator):
    """Runs a step's pod; the reason of a failure is written to the task's log and raised in :class:`StepFailed`."""

    def __init__(self, *, step: Step, templates: Path, startup: int, **options: Any) -> None:
        """Create the pod from ``templates``; its container has to run within ``startup`` seconds."""
        super().__init__(
            task_id=step.name,
            name=step.name.replace("_", "-"),
            pod_template_file=str(templates / f"{step.name}.yaml"),
            base_container_name=step.name.replace("_", "-"),
            in_cluster=True,
            kubernetes_conn_id=None,
            do_xcom_push=False,
            automount_service_account_token=False,
            get_logs=True,
            container_name_log_prefix_enabled=False,
            log_pod_spec_on_failure=False,
            startup_timeout_seconds=startup,
            schedule_timeout_seconds=startup,
            startup_check_interval_seconds=1,
            on_finish_action="delete_pod",
            on_kill_action="delete_pod",
            # After a lost scheduler, the next try attaches to the pod that still runs: a step never runs twice
            # at the same time.
            reattach_on_restart=True,
            **options,
        )
        self.timeout = step.timeout_seconds
        self.startup = startup
        self._reason = ""
        self._lines: list[str] = []

    def execute(self, context: Any) -> None:
        """Run the pod.

        Raises:
            StepFailed: the pod did not succeed.
        """
        try:
            super().execute(context)
        except Exception as error:
            reason = self._reason or f"{type(error).__name__}: {error}"
            self.log.error("%s failed: %s", self.task_id, reason)
            raise StepFailed(reason, self._lines) from error

    def post_complete_action(
        self, *, pod: Any, remote_pod: Any, context: Any, result: Any = None, **others: Any
    ) -> None:
        """Diagnose the pod before it is deleted."""
        try:
            # A pod that the API server rejected does not exist; the rejection itself is the reason then.
            if remote_pod is not None and pod is not None and pod.metadata is not None:
                self._diagnose(pod.metadata.name, pod.metadata.namespace)
        finally:
            super().post_complete_action(pod=pod, remote_pod=remote_pod, context=context, result=result, **others)

    def _diagnose(self, name: str, namespace: str) -> None:
        try:
            plain = self.client.api_client.sanitize_for_serialization
            found = plain(self.client.read_namespaced_pod(name, namespace))
            if found["status"].get("phase") == "Succeeded":
                return
            about = f"involvedObject.name={name}"
            events = plain(self.client.list_namespaced_event(namespace, field_selector=about))["items"]
        except ApiException as error:
            if error.status != 404:
                self.log.warning("the pod cannot be read: %s %s", error.status, error.reason)
                return
            self._reason = pod_diagnosis.failure_reason(None, [], timeout=self.timeout, startup=self.startup)
            return
        self._reason = pod_diagnosis.failure_reason(found, events, timeout=self.timeout, startup=self.startup)
        try:
            # As bytes, because the client would decode them to the text of a Python literal.
            log = self.client.read_namespaced_pod_log(name, namespace, tail_lines=LINES, _preload_content=False)
        except ApiException:
            return  # a container that never ran has no log
        self._lines = log.data.decode(errors="replace").splitlines()
