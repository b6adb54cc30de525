from __future__ import annotations

import os
import socket

import pytest

from deployments.errors import ConfigError
from serve_app.cli.ports import check_free


def test_free_ports_pass() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    check_free({"REST": ("127.0.0.1", port)})


def test_a_taken_port_is_named_with_its_purpose_and_its_holder() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            check_free({"REST": ("127.0.0.1", port)})
    assert f"port {port} (REST) is taken by process {os.getpid()}" in str(caught.value)
