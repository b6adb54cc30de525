"""What deployments ask of Ray, and the nodes for it."""

from __future__ import annotations

import pytest

from deployments.errors import ConfigError
from serve_app.config.resources import Resources, bytes_of, nodes_needed, total

GIB = 2**30
NODE = Resources(cpus=4, gpus=1, memory=8 * GIB)


def test_replicas_share_a_node_until_one_resource_is_used_up() -> None:
    small = Resources(cpus=1, memory=GIB)
    assert nodes_needed(NODE, [small] * 4) == 1
    assert nodes_needed(NODE, [small] * 5) == 2
    assert nodes_needed(NODE, [Resources(memory=5 * GIB)] * 2) == 2
    assert nodes_needed(NODE, [Resources(gpus=0.5)] * 3) == 2


def test_small_replicas_go_where_large_ones_left_room() -> None:
    large, small = Resources(cpus=3), Resources(cpus=1)
    assert nodes_needed(NODE, [small, large, small, large]) == 2


def test_ten_tenths_are_a_whole() -> None:
    assert nodes_needed(Resources(cpus=1), [Resources(cpus=0.1)] * 10) == 1


def test_nothing_needs_no_node_and_what_is_too_large_fits_on_none() -> None:
    assert nodes_needed(NODE, []) == 0
    assert nodes_needed(NODE, [Resources(cpus=5)]) is None
    assert nodes_needed(NODE, [Resources(custom={"internet": 1})]) is None


def test_custom_resources_are_counted_as_the_others() -> None:
    node = Resources(custom={"internet": 2})
    assert nodes_needed(node, [Resources(custom={"internet": 1})] * 3) == 2


def test_a_total_adds_everything_up() -> None:
    one = Resources(1, 0.5, GIB, {"internet": 1})
    assert total([one, one, Resources(cpus=1)]) == Resources(3, 1.0, 2 * GIB, {"internet": 2})


@pytest.mark.parametrize(("text", "size"), [("32Gi", 32 * GIB), ("1.5Gi", 1.5 * GIB), ("512Mi", GIB / 2), ("7", 7)])
def test_sizes_are_read_as_kubernetes_writes_them(text: str, size: float) -> None:
    assert bytes_of(text) == size


def test_a_size_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="'many' is no size of memory"):
        bytes_of("many")
