"""What can be told of a service without starting one."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from serve_app.cli.launcher import _drain, _gist, _inner_ports


@pytest.mark.parametrize("held", ["RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT", "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"])
def test_two_services_share_no_inner_port(held: str) -> None:
    one = _inner_ports(7000)
    assert len(set(one.values())) == 4
    with socket.socket() as holder:
        holder.bind(("", int(one[held])))
        holder.listen()
        other = _inner_ports(7000)
    assert not set(one.values()) & set(other.values())


def test_haproxy_is_told_to_end_after_the_requests_under_way_and_waited_for() -> None:
    code = f"import signal, sys; signal.signal({signal.SIGUSR1.value}, lambda *_: sys.exit()); print(); signal.pause()"
    with subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        began = time.monotonic()
        _drain([psutil.Process(process.pid)])
        assert process.wait(0.1) == 0
        assert time.monotonic() - began < 10
    _drain([])


def test_of_a_proxy_that_did_not_start_the_ports_that_it_did_not_get_are_told() -> None:
    said = (
        "ray::HAProxyManager.ready()\n  File 'x.py', in ready\nRuntimeError: HAProxy crashed: [NOTICE] (7) : x\n"
        "[ALERT] (7) : Binding [/x.cfg:52] for http: cannot bind socket (Address already in use) for [::1:63]\n"
        "[ALERT] (7) : [haproxy.main()] Some protocols failed to start their listeners! Exiting.\n"
    )
    assert _gist(said) == "cannot bind socket (Address already in use) for [::1:63]"
    assert _gist("Traceback\n  a line\nRuntimeError: no room\n") == "RuntimeError: no room"
