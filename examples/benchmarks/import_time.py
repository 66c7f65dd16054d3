"""What comes before any work: `import skinr`, and the fixed cost of a `fit`.

Processes that import torch and scikit-learn take turns with processes that import skinr after them,
bytecode cached in both by a round that does not count. Other processes time the import alone, and
then two fits of one update to 300 rows: the first one of a process loads code that later ones find.
"""

import argparse
import os
import subprocess
import sys
from time import perf_counter

import numpy as np
from common import describe_environment, write_json

BEFORE = "import torch, sklearn"
TIMED = """
from time import perf_counter
import numpy as np
start = perf_counter()
import skinr
print(perf_counter() - start)
X = np.random.default_rng(0).uniform(size=(300, 2))
for _ in range(2):
    start = perf_counter()
    skinr.SirenRegressor(solver="adam", max_iter=1).fit(X, X[:, 0])
    print(perf_counter() - start)
"""
NAMES = (
    f"process: {BEFORE}",
    "skinr after them, by the difference",
    "skinr after them, by the clock inside",
    "first fit of a process",
    "second fit",
)
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def run(code):
    """Run code in a fresh process; return its seconds, and those that it prints."""
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    return perf_counter() - start, [float(line) for line in done.stdout.split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    rows = []
    for _ in range(1 + options.rounds):
        without, _ = run(BEFORE)
        with_skinr, _ = run(f"{BEFORE}, skinr")
        _, inside = run(BEFORE + TIMED)
        rows.append((without, with_skinr - without, *inside))
    milliseconds = 1e3 * np.array(rows[1:])
    columns = dict(zip(NAMES, milliseconds.T, strict=True))
    print("\nmilliseconds, median (10% to 90%)")
    for name, column in columns.items():
        low, median, high = np.quantile(column, [0.1, 0.5, 0.9])
        print(f"{name:<40}{median:>9.1f} ({low:.1f} to {high:.1f})")
    write_json(options.json, {name: column.tolist() for name, column in columns.items()})


if __name__ == "__main__":
    main()
