"""A search over omega_0 by SirenSearchCV, against GridSearchCV over the same estimator.

Speed: eight frequencies on three folds of 300 rows of one variable, and the fit of the best one, by
SirenSearchCV, with racing and without, against GridSearchCV, first in this process, which has all
cores, then in as many workers as there are cores: a process that has had workers may run its own
threads slower. For networks that Adam trains, as stacks, and for the default, which least squares
fits one by one. Contestants take turns in changing order; ratios are taken round by round.

Agreement: the same search on tables of four kinds, with and without racing, for stacks and for
least squares. A winner is clear where its mean score is better than the second by more than the
standard error of their difference over the folds.
"""

import argparse
import os

import numpy as np
from common import describe_environment, time_rounds, write_json
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from skinr import SirenRegressor, SirenSearchCV

OMEGAS = {"omega_0": [0.5, 1, 2, 4, 8, 15, 30, 60]}
REGRESSORS = {
    "3 x 32, Adam": SirenRegressor((32, 32, 32), solver="adam"),
    "3 x 64, Adam": SirenRegressor((64, 64, 64), solver="adam"),
    "4 x 128, Adam": SirenRegressor(solver="adam"),
    "the default": SirenRegressor(),
}
CHOOSING = ("3 x 64, Adam", "the default")
N_ROWS, N_FOLDS = 300, 3
FIRST_STATE = 1000  # the rule of racing was chosen on states from 0 on
CORES = len(os.sched_getaffinity(0))
FUNCTIONS = {
    "smooth": lambda x: np.sin(3 * x) + x**2,
    "chirp": lambda x: np.sin(20 * x**2),
    "peak": lambda x: 1 / (1 + 400 * (x - 0.3) ** 2),
    "kink": lambda x: np.abs(x - 0.5) + np.sin(12 * x) / 5,
}


def make_table(kind, noise, state):
    """Return rows at random positions, with noise of that share of the standard deviation."""
    draw = np.random.default_rng(state)
    x = draw.uniform(0, 1, N_ROWS)
    y = FUNCTIONS[kind](x)
    return x[:, None], y + noise * y.std() * draw.standard_normal(N_ROWS)


def searches(network, max_iter, state):
    """Return the searches by name."""
    regressor = clone(REGRESSORS[network]).set_params(max_iter=max_iter, random_state=state)
    cv = KFold(N_FOLDS, shuffle=True, random_state=state)
    return {
        "GridSearchCV": GridSearchCV(regressor, OMEGAS, cv=cv, n_jobs=1),
        "SirenSearchCV": SirenSearchCV(regressor, OMEGAS, cv=cv),
        "SirenSearchCV, racing": SirenSearchCV(regressor, OMEGAS, cv=cv, racing=True),
        "GridSearchCV, workers": GridSearchCV(regressor, OMEGAS, cv=cv, n_jobs=CORES),
        "SirenSearchCV, workers": SirenSearchCV(regressor, OMEGAS, cv=cv, n_jobs=CORES),
    }


def compare_speed(networks, max_iter, n_rounds):
    """Print what each search takes, and how many times less than GridSearchCV."""
    in_process = ["GridSearchCV", "SirenSearchCV", "SirenSearchCV, racing"]
    with_workers = ["GridSearchCV, workers", "SirenSearchCV, workers", *in_process[1:]]
    return {
        reference: {
            network: compare(network, [reference, *others], max_iter, n_rounds)
            for network in networks
        }
        for reference, *others in (in_process, with_workers)
    }


def compare(network, names, max_iter, n_rounds):
    """Print what searches take, and how many times less than the first of them."""
    X, y = make_table("chirp", 0.1, 0)
    contestants = searches(network, max_iter, 0)
    seconds = time_rounds(
        [lambda search=contestants[name]: search.fit(X, y) for name in names], n_rounds
    )
    print(f"\n{network:<24}{'seconds':>8}   times faster than {names[0]} (10% to 90%)")
    for index, name in enumerate(names):
        low, ratio, high = np.quantile(seconds[:, 0] / seconds[:, index], [0.1, 0.5, 0.9])
        print(f"{name:<24}{np.median(seconds[:, index]):>8.2f}", end="")
        print(f"   {ratio:6.2f} ({low:.2f} to {high:.2f})", flush=True)
    return dict(zip(names, seconds.T.tolist(), strict=True))


def is_clear(search):
    """Return whether the best candidate is better than the second by one standard error."""
    scores = np.array(
        [search.cv_results_[f"split{fold}_test_score"] for fold in range(search.n_splits_)]
    )
    best, second = np.argsort(-scores.mean(axis=0))[:2]
    difference = scores[:, best] - scores[:, second]
    return bool(difference.mean() > difference.std(ddof=1) / np.sqrt(len(difference)))


def compare_choices(network, max_iter, n_searches):
    """Print how often the searches choose the same, and how far their scores are apart."""
    print(f"\n{network}")
    rows = []
    for state in range(FIRST_STATE, FIRST_STATE + n_searches):
        kind = list(FUNCTIONS)[state % len(FUNCTIONS)]
        X, y = make_table(kind, [0.0, 0.1, 0.3][state % 3], state)
        contestants = searches(network, max_iter, state)
        names = "GridSearchCV", "SirenSearchCV", "SirenSearchCV, racing"
        grid, stacked, raced = (contestants[name].fit(X, y) for name in names)
        apart = grid.cv_results_["mean_test_score"] - stacked.cv_results_["mean_test_score"]
        scores = grid.cv_results_["mean_test_score"]
        rows.append(
            {
                "kind": kind,
                "clear": is_clear(grid),
                "chosen": [s.best_params_["omega_0"] for s in (grid, stacked, raced)],
                "apart": float(np.abs(apart).max()),
                "loss of racing": float(scores.max() - scores[raced.best_index_]),
            }
        )
    clear = [row for row in rows if row["clear"]]
    for index, name in ((1, "SirenSearchCV"), (2, "with racing")):
        for label, part in (("all", rows), ("clear winners", clear)):
            same = sum(row["chosen"][index] == row["chosen"][0] for row in part)
            print(f"{name}: the choice of GridSearchCV in {same} of {len(part)} ({label})")
    apart = [row["apart"] for row in rows]
    print(f"mean scores apart: median {np.median(apart):.1e}, largest {max(apart):.1e}")
    losses = [row["loss of racing"] for row in rows]
    print(f"score that racing lost: median {np.median(losses):.1e}, largest {max(losses):.1e}")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=REGRESSORS, default=list(REGRESSORS))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--max-iter", type=int, default=1000)
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    speed = compare_speed(options.networks, options.max_iter, options.rounds)
    choices = {
        network: compare_choices(network, options.max_iter, options.searches)
        for network in CHOOSING
        if network in options.networks and options.searches
    }
    write_json(options.json, {"speed": speed, "choices": choices})


if __name__ == "__main__":
    main()
