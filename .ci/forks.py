"""Run commands, a line each, two at a time, and end with an error where one of them does.

Python scripts run in forks of a process that has imported what they share, which takes longer than
most of them do.
"""

import os
import runpy
import shlex
import sys
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot  # noqa: F401
import skimage  # noqa: F401

import skinr  # noqa: F401

N_PROCESSES = 2


def run(line):
    """Do what a line says, and end this process."""
    command, *arguments = shlex.split(line)
    if not command.endswith(".py"):
        os.execvp(command, [command, *arguments])
    sys.argv = [command, *arguments]
    sys.path[0] = str(Path(command).parent)
    runpy.run_path(command, run_name="__main__")
    sys.exit()


def main():
    """Run the lines of the standard input."""
    waiting, running, failed = sys.stdin.read().splitlines(), {}, []
    while waiting or running:
        if waiting and len(running) < N_PROCESSES:
            line = waiting.pop(0)
            print("$", line, flush=True)
            child = os.fork()
            if child == 0:
                run(line)
            running[child] = line, perf_counter()
        else:
            child, status = os.wait()
            line, start = running.pop(child)
            print(f"{perf_counter() - start:.0f} s: {line}", flush=True)
            if status:
                failed.append(line)
    sys.exit("\n".join(["failed:", *failed]) if failed else 0)


if __name__ == "__main__":
    main()
