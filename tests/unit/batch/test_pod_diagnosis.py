"""Return the reason for which a step's pod failed or is not ready."""

from typing import Any

import pytest

from crypto_analytics.batch import pod_diagnosis

POD: dict[str, Any] = {
    "spec": {"containers": [{"name": "ge-validate", "resources": {"limits": {"memory": "1Gi"}}}]},
    "status": {"phase": "Failed"},
}


def reason(status: dict[str, Any], events: list[dict[str, Any]] | None = None) -> str:
    return pod_diagnosis.failure_reason(POD | {"status": status}, events or [], timeout=300, startup=120)


def container(state: dict[str, Any]) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "ge-validate", "image": "ge:1", "state": state}]}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, "timed out: it did not finish within 300 s"),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "low on\nmemory"},
            "evicted from its node (Evicted): low on memory",
        ),
        (
            {"phase": "Failed"} | container({"terminated": {"reason": "OOMKilled", "exitCode": 137}}),
            "OOMKilled: it needed more memory than its limit of 1Gi",
        ),
        ({"phase": "Failed"} | container({"terminated": {"exitCode": 2}}), "it ended with exit code 2"),
        (
            {"phase": "Pending"} | container({"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}),
            "its image ge:1 cannot be pulled (ImagePullBackOff): not found",
        ),
        (
            {"phase": "Pending"}
            | container({"waiting": {"reason": "CreateContainerConfigError", "message": "no key"}}),
            "its container cannot be created (CreateContainerConfigError): no key",
        ),
        (
            {
                "phase": "Pending",
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient cpu"}],
            },
            "no node could take it within 120 s: 0/1 nodes: Insufficient cpu",
        ),
        ({"phase": "Pending"} | container({"waiting": {"reason": "ContainerCreating"}}), "did not start within 120 s"),
        ({"phase": "Running"} | container({"running": {}}), "it still ran when the try was ended"),
    ],
)
def test_each_failure_of_a_pod_has_a_message(status: dict[str, Any], expected: str) -> None:
    assert expected in reason(status)


def test_a_pod_that_does_not_start_is_reported_with_its_last_warning() -> None:
    events = [{"type": "Warning", "message": "volume is away"}, {"type": "Normal", "message": "scheduled"}]
    assert reason({"phase": "Pending"}, events) == "its pod did not start within 120 s: volume is away"


def test_a_deleted_pod_has_a_reason_and_a_failed_one_without_details_has_none() -> None:
    assert "gone" in pod_diagnosis.failure_reason(None, [], timeout=1, startup=1)
    assert reason({"phase": "Failed"}) == ""


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (container({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off\n 10 s"}}),
         "ge-validate: CrashLoopBackOff: back-off 10 s"),
        (container({"terminated": {"exitCode": 2}}), "ge-validate: exit code 2"),
        (container({"terminated": {"exitCode": 0}}), "starting"),
        (container({"running": {}}), "ge-validate runs, not ready yet"),
        (
            {"initContainerStatuses": [{"name": "wait", "state": {"running": {}}}]}
            | container({"waiting": {"reason": "PodInitializing"}}),
            "wait runs, not ready yet",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1"}]},
            "Unschedulable: 0/1",
        ),
        ({"reason": "Evicted"}, "Evicted"),
        ({}, "starting"),
    ],
)  # fmt: skip
def test_each_reason_why_a_pod_is_not_ready(status: dict[str, Any], expected: str) -> None:
    assert pod_diagnosis.not_ready_reason({"status": status}) == expected
