"""What the tests of the sweep engine share."""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from simulations.engine.command import main
from simulations.engine.folder import journal_folder
from simulations.engine.journal import journals, records

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


def call(*words):
    """The exit code of the command line in this process."""
    return main([str(word) for word in words])


def environment(**more):
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])} | more


def program(*words, **more):
    """The command line as a process of its own."""
    command = [sys.executable, "-m", "simulations", *map(str, words)]
    return subprocess.Popen(command, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def results(out):
    return (out / "results.parquet").read_bytes()


def recorded(out):
    """How often each cell stands in the journals of a folder."""
    return Counter(record.outcome.key for path in journals(journal_folder(out)) for record in records(path))


def wait_for(condition, seconds=60.0):
    """Whether the condition came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def grid_file(folder, text):
    path = folder / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return path
