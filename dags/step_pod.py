"""A step as a task: one pod, made from the template that the chart rendered for it."""

from pathlib import Path
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiException

from crypto_analytics.batch import alert, pod_diagnosis, webhook
from crypto_analytics.batch.steps import Step

_LINES = 12


class StepFailed(AirflowException):
    """A try failed; the text says why. ``lines`` are the last ones of the pod's log."""

    def __init__(self, reason: str, lines: list[str]) -> None:
        super().__init__(reason)
        self.lines = lines


class StepPod(KubernetesPodOperator):
    """Runs a step's pod, and says in words why it failed: in the log, and to whoever handles the failure."""

    def __init__(self, *, step: Step, templates: Path, startup: int, **options: Any) -> None:
        """Take all that a pod is from ``templates``; it may wait ``startup`` seconds until it runs."""
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
            # A try after a lost scheduler takes up the pod that still runs: the step does not run twice at once.
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
            StepFailed: it did not succeed.
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
        """Look at the pod before it is deleted; it is deleted whatever is seen."""
        try:
            # A pod that the API server refused is none: the refusal is the reason.
            if remote_pod is not None and pod is not None and pod.metadata is not None:
                self._look(pod.metadata.name, pod.metadata.namespace)
        finally:
            super().post_complete_action(pod=pod, remote_pod=remote_pod, context=context, result=result, **others)

    def _look(self, name: str, namespace: str) -> None:
        try:
            plain = self.client.api_client.sanitize_for_serialization
            found = plain(self.client.read_namespaced_pod(name, namespace))
            if found["status"].get("phase") == "Succeeded":
                return
            about = f"involvedObject.name={name}"
            events = plain(self.client.list_namespaced_event(namespace, field_selector=about))["items"]
        except ApiException as error:
            if error.status != 404:
                self.log.warning("the pod cannot be looked at: %s %s", error.status, error.reason)
                return
            self._reason = pod_diagnosis.failure_reason(None, [], timeout=self.timeout, startup=self.startup)
            return
        self._reason = pod_diagnosis.failure_reason(found, events, timeout=self.timeout, startup=self.startup)
        try:
            # As bytes: decoded by the client they would be the text of a Python literal.
            said = self.client.read_namespaced_pod_log(name, namespace, tail_lines=_LINES, _preload_content=False)
        except ApiException:
            return  # a container that never ran has said nothing
        self._lines = said.data.decode(errors="replace").splitlines()


def tell_failure(context: Any, url: str) -> None:
    """Tell the webhook that a task failed finally; that it cannot be told is in the task's log."""
    task, error = context["ti"], context.get("exception")
    told = alert.Alert(
        step=task.task_id,
        run=task.run_id,
        tries=task.try_number,
        reason=str(error) if error else "the task's process was lost",
        lines=getattr(error, "lines", ()),
        page=getattr(task, "log_url", ""),
    )
    print(alert.message(told)["text"])
    if not url:
        return
    try:
        webhook.tell(url, alert.message(told))
    except webhook.NotTold as problem:
        print(f"the alert could not be sent: {problem}; next: check ALERT_WEBHOOK_URL in Secret airflow")
