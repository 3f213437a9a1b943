"""What a deployment makes of a stack file, and when a service of a Swarm has converged."""

from __future__ import annotations

from typing import Any

import pytest

from odpm_tasks.core.targets.swarm_stack import (
    RolloutState,
    job,
    needs_labelled_node,
    only,
    part,
    resolved,
    rollout,
    waits_for_node,
    without,
)
from tests.unit.targets.test_files import of

OLD: dict[str, Any] = {"Image": "odoo:1"}
NEW: dict[str, Any] = {"Image": "odoo:2"}


def stack(**target: Any) -> dict[str, Any]:
    return of({"kind": "swarm", "domain": "shop.example", **target})


def test_secrets_have_the_names_of_their_versions_and_the_proxy_the_ports_of_the_target() -> None:
    data = stack()
    found = resolved(data, {"db_password": "acme-t_db_password_v7"}, {"ODPM_HTTP_PORT": "8080", "ODPM_HTTPS_PORT": "x"})
    assert found["secrets"]["db_password"]["name"] == "acme-t_db_password_v7"
    assert found["secrets"]["admin_password"]["name"] == "acme-t_admin_password_v1"
    proxy = found["services"]["proxy"]
    assert [(port["target"], port["published"]) for port in proxy["ports"]] == [(8080, 8080), (443, 443)]
    assert (proxy["environment"]["WEB_HTTP_PORT"], proxy["environment"]["WEB_HTTPS_PORT"]) == ("8080", "443")
    assert data["services"]["proxy"]["ports"][0]["published"] == 80  # the release is not changed


def test_a_part_has_what_its_services_use() -> None:
    data = stack()
    found = only(data, "db")
    assert list(found["services"]) == ["db"]
    assert list(found["networks"]) == ["database"]
    assert list(found["configs"]) == ["roles_sql"]
    assert set(found["secrets"]) == {"db_password", "postgres_password"}
    assert all(name.startswith("db-") for name in found["volumes"])
    rest = without(data, "db", "update")
    assert set(rest["services"]) == set(data["services"]) - {"db", "update"}
    assert "postgres_password" not in rest["secrets"]
    assert part(data, data["services"]) == {key: data[key] for key in part(data, data["services"])}


def test_a_job_runs_once_in_the_surroundings_of_its_service() -> None:
    data = stack(replicas={"web": 3})
    found = job(data, "update", "job", entrypoint=("odoo-run", "psql"))
    ((name, service),) = found["services"].items()
    assert (name, service["entrypoint"]) == ("job", ["odoo-run", "psql"])
    assert service["deploy"]["mode"] == "replicated-job"
    assert service["deploy"]["restart_policy"] == {"condition": "none"}
    assert service["networks"] == data["services"]["update"]["networks"]
    assert list(found["configs"]) == ["odoo_conf"]


def test_a_job_of_the_proxy_is_where_its_volume_is_and_publishes_nothing() -> None:
    found = job(stack(), "proxy", "job", entrypoint=("true",), mounts=("/data",))
    service = found["services"]["job"]
    assert [volume.split(":")[1] for volume in service["volumes"]] == ["/data"]
    assert service["deploy"]["placement"] == {"constraints": ["node.labels.odpm.data == true"]}
    assert {"ports", "command"} & service.keys() == set()
    assert found["configs"] == {}


def test_a_job_without_volumes_runs_on_any_node() -> None:
    service = job(stack(), "db", "job", entrypoint=("psql",), mounts=())["services"]["job"]
    assert service["volumes"] == service["configs"] == []
    assert "placement" not in service["deploy"]


def test_volumes_of_a_driver_need_no_labelled_node() -> None:
    assert needs_labelled_node(stack())
    assert needs_labelled_node(stack(filestore={"driver": "nfs"}))  # PostgreSQL and the proxy still have volumes
    bare = stack()
    for service in bare["services"].values():
        service["deploy"].pop("placement", None)
    assert not needs_labelled_node(bare)


def service(update: str = "", message: str = "", spec: dict[str, Any] = NEW, replicas: int = 2) -> dict[str, Any]:
    status = {"UpdateStatus": {"State": update, "Message": message}} if update else {}
    described = {"TaskTemplate": {"ContainerSpec": spec}, "Mode": {"Replicated": {"Replicas": replicas}}}
    return {"ID": "s", "Spec": described, **status}


def task(
    state: str, spec: dict[str, Any] = NEW, *, desired: str = "running", error: str = "", time: str = "1"
) -> dict[str, Any]:
    status = {"State": state, "Err": error, "Timestamp": time}
    return {
        "ID": f"{state}{time}",
        "ServiceID": "s",
        "DesiredState": desired,
        "Status": status,
        "Spec": {"ContainerSpec": spec},
    }


RUNS, GONE = task("running"), task("shutdown", OLD, desired="shutdown")
FAILURE = task("failed", desired="shutdown", error="task: non-zero exit (9)")


@pytest.mark.parametrize(
    ("described", "tasks", "state"),
    [
        (service(), [RUNS, RUNS, GONE], RolloutState(True, 2, 2)),
        (service("completed"), [RUNS, RUNS], RolloutState(True, 2, 2)),
        (service("updating"), [RUNS, RUNS], RolloutState(False, 2, 2)),
        (service(), [RUNS, task("starting")], RolloutState(False, 1, 2)),
        (service(), [task("running", OLD), task("running", OLD)], RolloutState(False, 0, 2)),  # not yet replaced
        (service(), [RUNS, RUNS, task("running", OLD)], RolloutState(False, 2, 2)),
        (service(replicas=0), [GONE], RolloutState(True, 0, 0)),
        (
            service("rollback_started", "update rolled back", OLD),
            [task("running", OLD), FAILURE],
            RolloutState(False, 1, 2, "task: non-zero exit (9)", "failed1"),
        ),
        (service("paused", "update paused", OLD), [], RolloutState(False, 0, 2, "update paused")),
        (service(), [FAILURE, FAILURE], RolloutState(False, 0, 2)),
        (service(), [FAILURE, FAILURE, FAILURE], RolloutState(False, 0, 2, "task: non-zero exit (9)", "failed1")),
    ],
)  # fmt: skip
def test_a_service_has_converged(described: dict[str, Any], tasks: list[dict[str, Any]], state: RolloutState) -> None:
    assert rollout(described, tasks) == state


def test_an_empty_part_that_only_the_service_has_is_no_difference() -> None:
    assert rollout(service(spec={**NEW, "DNSConfig": {}}), [RUNS, RUNS]).done


def test_the_default_of_a_service_is_no_difference() -> None:
    assert rollout(service(spec={**NEW, "StopGracePeriod": 10_000_000_000}), [RUNS, RUNS]).done
    assert not rollout(service(spec={**NEW, "StopGracePeriod": 20_000_000_000}), [RUNS, RUNS]).done


def test_services_on_every_node_and_jobs() -> None:
    for mode, tasks, done in (
        ({"Global": {}}, [RUNS, RUNS, RUNS], True),
        ({"Global": {}}, [RUNS, task("starting")], False),
        ({"Global": {}}, [], False),
        ({"ReplicatedJob": {"TotalCompletions": 1}}, [task("complete", desired="shutdown")], True),
    ):
        described = service()
        described["Spec"]["Mode"] = mode
        assert rollout(described, tasks).done is done


def test_tasks_of_other_services_do_not_count() -> None:
    assert not rollout(service(replicas=1), [{**RUNS, "ServiceID": "other"}]).done


def test_a_task_that_no_node_takes_has_a_reason() -> None:
    reason = "no suitable node (scheduling constraints not satisfied on 1 node)"
    assert waits_for_node([RUNS, task("pending", error=reason)]) == reason
    assert waits_for_node([RUNS, task("pending"), task("pending", error=reason, desired="shutdown")]) == ""
