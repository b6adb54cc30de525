"""Runs one of the benchmarks of a GPU: `--bare`, `--feeding`, or without either, the whole service."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.random_models import BERTS


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--bare", action="store_true", help="all that needs neither Ray nor a network")
    what.add_argument("--feeding", action="store_true", help="what a replica feeds a stand-in for a card")
    parser.add_argument("--quick", action="store_true", help="of --bare: tiny models, moments; to see that it works")
    parser.add_argument("--seconds", type=float, help="for each figure (bare 2, quick 0.1, feeding 3, service 10)")
    parser.add_argument("--minutes", type=float, default=8.5, help="of --bare: after them no other model begins")
    parser.add_argument("--provider", default="cuda", choices=["cuda", "openvino", "cpu"], help="others: to try it out")
    parser.add_argument("--models", nargs="+", default=list(BERTS), choices=list(BERTS), help="not of --bare")
    parser.add_argument(
        "--threads", nargs="+", type=int, help="that tokenize (1 2 4; of --bare one a core, but for two)"
    )
    parser.add_argument("--peak", type=float, default=989.5, help="of --feeding: of the card in TFLOPS (H100)")
    folder = Path(os.environ.get("OUT", "."))
    parser.add_argument("--out", type=Path, default=folder / "gpu.json", help="of --bare: where the results go")
    asked = parser.parse_args()
    if asked.bare:
        from benchmarks.gpu import bare  # noqa: PLC0415  what the others need may be missing

        seconds = asked.seconds or (0.1 if asked.quick else 2.0)
        threads = (asked.threads or [max(1, (os.cpu_count() or 1) - 2)])[-1]
        bare.run(bare.Plan(asked.provider, seconds, asked.minutes, asked.quick, threads), asked.out)
    elif asked.feeding:
        from benchmarks.gpu import feeding  # noqa: PLC0415  as above

        feeding.measure(asked.seconds or 3.0, asked.threads or [1, 2, 4], asked.peak, asked.models)
    else:
        from benchmarks.gpu import stack  # noqa: PLC0415  as above

        stack.measure(asked.seconds or 10.0, asked.provider, asked.models)


if __name__ == "__main__":
    main()
