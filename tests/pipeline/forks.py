"""A warm process that forks a child for each command line it reads, so that a job can be killed often and cheaply.

The child is what `python -m certify.cli` is after its imports. Each line on stdin is a JSON object:

    arguments : of the command line.
    last_file : n, or null. The child kills itself when it names its n-th file; `named` says on which side of the rename.

Two lines come back: the child's process id at once, and its exit code when it ends (negative: the signal).
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from typing import Any

from certify.cli import main
from certify.networks.vision import import_timm

# What a job imports on its way, in its own order of need.
NEEDED = ("certify.pipeline", "sklearn.datasets", "certify.verifier.replay", "matplotlib.backends.backend_svg")


def die_at_file(last: int, named: bool) -> None:
    """Kill this process at its `last`-th rename: before it (a temporary file stays) or after (no journal line says so)."""
    rename, left = os.replace, last

    def replace(*paths: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0 and not named:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(*paths)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = replace


def serve() -> None:
    import_timm()
    for name in NEEDED:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        wanted = json.loads(line)
        child = os.fork()
        if child == 0:
            if wanted["last_file"]:
                die_at_file(wanted["last_file"], wanted["named"])
            main(wanted["arguments"])
        answers.write(f"{child}\n")
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


if __name__ == "__main__":
    serve()
