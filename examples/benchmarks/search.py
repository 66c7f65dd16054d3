"""A search over omega_0 by SirenSearchCV, against GridSearchCV over the same estimator.

Speed: eight frequencies on three folds of 300 rows of one variable, and the fit of the best one, by
GridSearchCV with one worker that has all cores, by GridSearchCV with as many workers as there are
cores, by SirenSearchCV in this process and in as many workers, and by SirenSearchCV with racing.
They take turns in changing order; ratios are taken round by round.

Agreement: the same search on tables of four kinds, with and without racing. A winner is clear where
its mean score is better than the second by more than the standard error of their difference over
the folds.
"""

import argparse
import os

import numpy as np
from common import describe_environment, time_rounds, write_json
from sklearn.model_selection import GridSearchCV, KFold

from skinr import SirenRegressor, SirenSearchCV

OMEGAS = {"omega_0": [0.5, 1, 2, 4, 8, 15, 30, 60]}
NETWORKS = [(32, 32, 32), (64, 64, 64), (128, 128, 128, 128)]
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


def searches(hidden_layer_sizes, max_iter, state):
    """Return the searches by name."""
    regressor = SirenRegressor(
        hidden_layer_sizes, solver="adam", max_iter=max_iter, random_state=state
    )
    cv = KFold(N_FOLDS, shuffle=True, random_state=state)
    return {
        "GridSearchCV, 1 worker": GridSearchCV(regressor, OMEGAS, cv=cv, n_jobs=1),
        f"GridSearchCV, {CORES} workers": GridSearchCV(regressor, OMEGAS, cv=cv, n_jobs=CORES),
        "SirenSearchCV": SirenSearchCV(regressor, OMEGAS, cv=cv),
        f"SirenSearchCV, {CORES} workers": SirenSearchCV(regressor, OMEGAS, cv=cv, n_jobs=CORES),
        "SirenSearchCV, racing": SirenSearchCV(regressor, OMEGAS, cv=cv, racing=True),
    }


def compare_speed(max_iter, n_rounds):
    """Print what each search takes, and how many times less than GridSearchCV."""
    X, y = make_table("chirp", 0.1, 0)
    results = {}
    for hidden_layer_sizes in NETWORKS:
        contestants = searches(hidden_layer_sizes, max_iter, 0)
        functions = [lambda search=search: search.fit(X, y) for search in contestants.values()]
        seconds = time_rounds(functions, n_rounds)
        results[str(hidden_layer_sizes)] = dict(zip(contestants, seconds.T.tolist(), strict=True))
        print(
            f"\n{hidden_layer_sizes!s:<24}{'seconds':>8}   times faster (10% to 90%) than", end=""
        )
        print(f" 1 worker, than {CORES} workers")
        for index, name in enumerate(contestants):
            print(f"{name:<24}{np.median(seconds[:, index]):>8.2f}", end="")
            for reference in (0, 1):
                low, ratio, high = np.quantile(
                    seconds[:, reference] / seconds[:, index], [0.1, 0.5, 0.9]
                )
                print(f"   {ratio:6.2f} ({low:.2f} to {high:.2f})", end="")
            print(flush=True)
    return results


def is_clear(search):
    """Return whether the best candidate is better than the second by one standard error."""
    scores = np.array(
        [search.cv_results_[f"split{fold}_test_score"] for fold in range(search.n_splits_)]
    )
    best, second = np.argsort(-scores.mean(axis=0))[:2]
    difference = scores[:, best] - scores[:, second]
    return bool(difference.mean() > difference.std(ddof=1) / np.sqrt(len(difference)))


def compare_choices(max_iter, n_searches):
    """Print how often the searches choose the same, and how far their scores are apart."""
    rows = []
    for state in range(FIRST_STATE, FIRST_STATE + n_searches):
        kind = list(FUNCTIONS)[state % len(FUNCTIONS)]
        X, y = make_table(kind, [0.0, 0.1, 0.3][state % 3], state)
        contestants = searches((64, 64, 64), max_iter, state)
        names = "GridSearchCV, 1 worker", "SirenSearchCV", "SirenSearchCV, racing"
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
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--max-iter", type=int, default=1000)
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    print(describe_environment())
    speed = compare_speed(options.max_iter, options.rounds)
    print()
    choices = compare_choices(options.max_iter, options.searches)
    write_json(options.json, {"speed": speed, "choices": choices})


if __name__ == "__main__":
    main()
