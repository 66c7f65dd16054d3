"""Choose omega_0 for a noisy table by SirenSearchCV, and draw the score over omega_0.

All frequencies and folds are trained as one batch, in about half the time that GridSearchCV takes
for the same scores; with `racing`, frequencies that can't win any more are dropped on the
way. Writes search_omega.png to the folder `figures`.
"""

# %%
import argparse
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from options import at_least
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from skinr import SirenRegressor, SirenSearchCV

parser = argparse.ArgumentParser(description="Choose omega_0 for a table.")
parser.add_argument("--max-iter", type=at_least(1), default=400, help="updates of a network")
parser.add_argument("--figures", type=Path, default=Path("figures"))
options = parser.parse_args()
options.figures.mkdir(parents=True, exist_ok=True)

# %% 300 noisy rows of one variable
draw = np.random.default_rng(0)
X = draw.uniform(0, 1, (300, 1))
y = np.sin(20 * X[:, 0] ** 2) + 0.05 * draw.standard_normal(300)

# %% The same search three times
omegas = [0.5, 1, 2, 4, 8, 15, 30, 60]
regressor = SirenRegressor((64, 64, 64), solver="adam", max_iter=options.max_iter, random_state=0)
cv = KFold(3, shuffle=True, random_state=0)
searches = {
    "GridSearchCV": GridSearchCV(regressor, {"omega_0": omegas}, cv=cv),
    "SirenSearchCV": SirenSearchCV(regressor, {"omega_0": omegas}, cv=cv),
    "SirenSearchCV, racing": SirenSearchCV(regressor, {"omega_0": omegas}, cv=cv, racing=True),
}
for name, search in searches.items():
    start = perf_counter()
    search.fit(X, y)
    seconds = perf_counter() - start
    best = search.best_params_["omega_0"]
    print(f"{name:<22} {seconds:5.1f} s   omega_0 = {best}   R² = {search.best_score_:.4f}")

# %% What is not explained, over omega_0, and the function that the best one makes of the rows
stacked, raced = searches["SirenSearchCV"], searches["SirenSearchCV, racing"]
unexplained = 1 - np.array([stacked.cv_results_[f"split{fold}_test_score"] for fold in range(3)])
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
left.plot(omegas, unexplained.mean(axis=0), marker="o", label="mean of the folds")
left.fill_between(
    omegas, unexplained.min(axis=0), unexplained.max(axis=0), alpha=0.3, label="all folds"
)
dropped = raced.cv_results_["dropped"]
left.scatter(
    np.array(omegas)[dropped],
    1 - raced.cv_results_["mean_test_score"][dropped],
    marker="x",
    color="tab:red",
    zorder=3,
    label="where racing dropped it",
)
left.set_xscale("log")
left.set_yscale("log")
left.set_xticks(omegas, [str(omega) for omega in omegas])
left.minorticks_off()
left.set_xlabel("omega_0")
left.set_ylabel("1 - R² on held-out rows")
left.legend()
grid = np.linspace(0, 1, 1000)[:, None]
right.scatter(X[:, 0], y, s=6, color="gray", label="rows")
worst = clone(regressor).set_params(omega_0=omegas[-1]).fit(X, y)
right.plot(grid, worst.predict(grid), linewidth=0.7, label=f"omega_0 = {omegas[-1]}")
best = stacked.best_params_["omega_0"]
right.plot(grid, stacked.predict(grid), label=f"omega_0 = {best}, the best")
right.legend(loc="lower left")
figure.savefig(options.figures / "search_omega.png", dpi=120, bbox_inches="tight")
print(f"figures in {options.figures.resolve()}")
