"""Processes that are killed while they write, or starved of disk, files and memory: what is left.

A few dozen kills are tried by the test suite. The long run, as a script:

    python tests/kills.py saves --kills 500
    python tests/kills.py checkpoints --kills 500
    python tests/kills.py limits
"""

import argparse
import os
import resource
import signal
import tempfile
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch

import skinr.checkpoint
from skinr import SirenRegressor

MEGABYTE = 2**20


def in_child(work, *, kill_after=None, limits=()):
    """Do something in a forked process.

    Parameters
    ----------
    work : callable
    kill_after : float, optional
        Seconds after which the process is killed.
    limits : sequence of (resource, number)
        Of the process.

    Returns
    -------
    outcome : str
        "done", the name of the exception, or "" where it was killed before either.
    peak : int
        Resident memory in bytes.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            for limit, number in limits:
                resource.setrlimit(limit, (number, number))
            work()
            outcome = "done"
        except BaseException as error:
            outcome = type(error).__name__
        os.write(writing, outcome.encode())
        os._exit(0)
    os.close(writing)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, _, usage = os.wait4(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read(), 1024 * usage.ru_maxrss


def seconds(work):
    """Return how long it takes to do something."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def table(n_rows=100):
    """Return rows of one variable."""
    X = np.linspace(0, 1, n_rows)[:, None]
    return X, np.sin(9 * X[:, 0] ** 2)


def two_models():
    """Return two fitted models that differ."""
    return [
        SirenRegressor((64, 64), device="cpu", max_iter=5, random_state=k).fit(*table())
        for k in (0, 1)
    ]


def kill_saves(n_kills, seed=0):
    """Kill a process that saves two models in turn to one file; count what is found in it."""
    models, (X, _) = two_models(), table()
    expected = [model.predict(X) for model in models]
    random = np.random.RandomState(seed)
    found = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skinr"
        models[0].save(path)

        def save_without_end():
            while True:
                for model in reversed(models):
                    model.save(path)

        duration = seconds(lambda: models[0].save(path))
        for _ in range(n_kills):
            in_child(save_without_end, kill_after=random.uniform(0, 6 * duration))
            predictions = SirenRegressor.load(path).predict(X)
            same = [np.array_equal(predictions, each) for each in expected]
            found[("first model", "second model")[same.index(True)]] += 1
        found["temporary files left"] = len(list(Path(folder).iterdir())) - 1
    return found


def kill_checkpoints(n_kills, seed=0):
    """Kill fits with checkpoints until each is done; count the kills and the equal results."""
    X, y = table(200)
    options = {
        "hidden_layer_sizes": (16, 16),
        "solver": "adam",
        "max_iter": 60,
        "batch_size": 50,
        "device": "cpu",
    }
    options |= {"early_stopping": True, "n_iter_no_change": 60}
    random = np.random.RandomState(seed)
    found = Counter()
    n_threads, interval = torch.get_num_threads(), skinr.checkpoint.INTERVAL
    torch.set_num_threads(1)  # as a forked process has
    skinr.checkpoint.INTERVAL = 0.0
    try:
        while found["kills"] < n_kills:
            model = SirenRegressor(random_state=found["fits"], **options)
            uninterrupted = model.fit(X, y).predict(X)
            with tempfile.TemporaryDirectory() as folder:
                model.set_params(checkpoint=Path(folder) / "fit.checkpoint")
                fit = partial(model.fit, X, y)
                duration = seconds(partial(in_child, fit))
                model.checkpoint.unlink()
                while not in_child(fit, kill_after=random.uniform(0, duration / 2))[0]:
                    found["kills"] += 1
                found["fits"] += 1
                found["equal to the bit"] += np.array_equal(
                    model.fit(X, y).predict(X), uninterrupted
                )
    finally:
        torch.set_num_threads(n_threads)
        skinr.checkpoint.INTERVAL = interval
    return found


def starve():
    """Save, load and fit within limits; return outcome and peak of each by name."""
    (old, new), (X, y) = two_models(), table()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skinr"
        old.save(path)
        space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        works = {
            "save": lambda: new.save(path),
            "load": lambda: SirenRegressor.load(path),
            "fit of 100 rows": lambda: new.fit(X, y),
            "fit of 2,000,000 rows": lambda: new.fit(*table(2_000_000)),
        }
        limits = {
            "files of half the size": (resource.RLIMIT_FSIZE, path.stat().st_size // 2),
            "no more open files": (resource.RLIMIT_NOFILE, 3),
            "1 MB more memory": (resource.RLIMIT_AS, space + MEGABYTE),
            "32 MB more memory": (resource.RLIMIT_AS, space + 32 * MEGABYTE),
            "512 MB more memory": (resource.RLIMIT_AS, space + 512 * MEGABYTE),
        }
        for name, limit in limits.items():
            for what, work in works.items():
                outcome, peak = in_child(work, limits=[limit])
                found[f"{what}, {name}"] = f"{outcome}, peak {peak / MEGABYTE:.0f} MB"
                saved = new if (what, outcome) == ("save", "done") else old
                left = SirenRegressor.load(path).predict(X)
                assert np.array_equal(left, saved.predict(X)), (name, what, outcome)
                assert list(Path(folder).iterdir()) == [path]
                old.save(path)
    return found


ATTACKS = {
    "saves": lambda options: dict(kill_saves(options.kills, options.seed)),
    "checkpoints": lambda options: dict(kill_checkpoints(options.kills, options.seed)),
    "limits": lambda options: starve(),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=ATTACKS)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, count in ATTACKS[options.what](options).items():
            print(f"{name}: {count}")
