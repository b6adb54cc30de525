"""That Ray Serve's replica has what is used of it."""

from __future__ import annotations

import inspect

import pytest
from ray.serve._private import replica, utils

from serve_app.front import ray_replica


@pytest.mark.parametrize("name", ray_replica.USED)
def test_a_replica_of_ray_serves_has_what_is_used_of_it(name: str) -> None:
    owner = getattr(replica, name, None) or getattr(utils, name)
    set_on_it = inspect.getsource(owner.__init__)
    for used in ray_replica.USED[name]:
        assert hasattr(owner, used) or f"self.{used}" in set_on_it, f"{name}.{used}"


def test_only_the_protocol_and_the_way_in_are_read_of_a_request_that_is_counted() -> None:
    """All requests are counted with the same description; what else Ray Serve might read of one would be wrong."""
    readers = (
        replica.ReplicaMetricsManager._change_num_ongoing_requests,
        replica.Replica._can_accept_request,
        replica.Replica._is_replica_quiescing,
    )
    read = {
        line.split("request_metadata.", 1)[1].split()[0].rstrip(":,)")
        for reader in readers
        for line in inspect.getsource(reader).splitlines()
        if "request_metadata." in line
    }
    assert read == {"protocol", "is_direct_ingress"}
