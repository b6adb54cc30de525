"""What Ray is told to leave out is what it knows by these names."""

from __future__ import annotations

from ray._private import parameter
from ray._private.node import Node

from serve_app.cli.ray_processes import only_what_one_machine_needs


def test_ray_is_told_in_its_own_words_and_only_for_a_while() -> None:
    usual, server = parameter.RayParams(), Node.start_api_server
    with only_what_one_machine_needs():
        told = parameter.RayParams(temp_dir="/tmp/x")
        assert Node.start_api_server(object(), include_dashboard=False, raise_on_failure=False) is None
    assert (usual.no_monitor, told.no_monitor, told.include_log_monitor) == (False, True, False)
    assert told.temp_dir == "/tmp/x"
    assert parameter.RayParams().no_monitor is False
    assert Node.start_api_server is server
