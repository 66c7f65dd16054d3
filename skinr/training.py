"""How networks are fitted to rows: the loop, its safeguards, and when it stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skinr.losses import Objective
from skinr.network import SirenStack
from skinr.optimizers import Adam
from skinr.rows import TrainingRows

CHECK_INTERVAL = 10
"""Updates between two looks at the loss."""

GUIDED_SHARE = 0.85
"""Share of the updates in which values that derivatives imply are fitted too."""

STEP_BACK_FACTOR = 0.1
"""What a divergence multiplies the learning rate with."""

DIVERGENCE_FACTOR = 10.0
"""A loss of so many times what predicting 0 costs on the hardest row has diverged."""


class History(NamedTuple):
    """What happened during a fit.

    Parameters
    ----------
    losses : ndarray of shape (n_iter, K)
        The objective before each update, on that update's batch.
    validation_scores : ndarray of shape (n_evaluations, K) or None
        R² on the validation rows, where there are any.
    n_step_backs : ndarray of shape (K,)
        How often each network diverged and was taken back to its last good state.
    interrupted : bool
        Whether a KeyboardInterrupt ended the fit.
    """

    losses: NDArray[np.float64]
    validation_scores: NDArray[np.float64] | None
    n_step_backs: NDArray[np.float64]
    interrupted: bool


class Safeguard:
    """Keeps the last good state of each network, and goes back to it where a loss diverges.

    Works on masks alone, so that a GPU is never waited for.

    Parameters
    ----------
    optimizer : Adam
    limit : Tensor of shape (K,)
        A loss above it, or one that is not finite, counts as divergence.
    """

    def __init__(self, optimizer: Adam, limit: Tensor) -> None:
        self._optimizer = optimizer
        self._limit = limit
        self._state = [
            optimizer.parameters,
            optimizer.first_moment,
            optimizer.second_moment,
        ]
        self._saved = [part.clone() for part in self._state]
        self.n_step_backs = torch.zeros(len(limit), dtype=torch.int64, device=limit.device)

    def check(self, losses: Tensor) -> None:
        """Save the networks whose losses (n_updates, K) are good, and take the others back."""
        good = (losses <= self._limit).all(dim=0)
        good &= self._optimizer.parameters.isfinite().all(dim=1)
        for part, saved in zip(self._state, self._saved, strict=True):
            torch.where(good[:, None], part, saved, out=part)
            saved.copy_(part)
        self._optimizer.slow_down(torch.where(good, 1.0, STEP_BACK_FACTOR))
        self.n_step_backs += ~good


class EarlyStopping:
    """Keeps the parameters of the best validation score, and says when to stop waiting.

    Parameters
    ----------
    stack : SirenStack
    rows : TrainingRows
        The validation rows; NaN marks a target that a row does not have.
    objective : Objective
    n_iter_no_change : int
        Updates without an improvement after which a network is done.
    tol : float
        Smallest gain in R² that counts as an improvement.
    batch_size : int
        Rows of an update; evaluations are spaced to cost at most a tenth of the updates.
    """

    def __init__(
        self,
        stack: SirenStack,
        rows: TrainingRows,
        objective: Objective,
        *,
        n_iter_no_change: int,
        tol: float,
        batch_size: int,
    ) -> None:
        self.interval = max(CHECK_INTERVAL, 3 * rows.n_rows // batch_size)
        rows.forget_implied()
        self._stack, self._rows, self._objective = stack, rows, objective
        self._n_iter_no_change, self._tol = n_iter_no_change, tol
        self._best_scores = self._improved_scores = self._score()
        self._scores = [self._best_scores]
        self._best_parameters = stack.parameters.clone()
        self._improved_at = torch.zeros_like(self._best_scores)

    def should_stop(self, n_iter: int) -> bool:
        """Evaluate, and say whether every network has gone too long without an improvement."""
        score = self._evaluate()
        improved = score > self._improved_scores + self._tol
        self._improved_scores = torch.where(improved, score, self._improved_scores)
        self._improved_at[improved] = n_iter
        return bool((n_iter - self._improved_at >= self._n_iter_no_change).all())

    def finish(self) -> NDArray[np.float64]:
        """Evaluate once more, put the best parameters back, and return all scores."""
        self._evaluate()
        self._stack.parameters.copy_(self._best_parameters)
        return _to_array(torch.stack(self._scores))

    def _evaluate(self) -> Tensor:
        score = self._score()
        self._scores.append(score)
        better = score > self._best_scores
        self._best_parameters[better] = self._stack.parameters[better]
        self._best_scores = torch.where(better, score, self._best_scores)
        return score

    def _score(self) -> Tensor:
        """R² of each network, the mean over the columns of the targets."""
        targets = self._rows.targets
        known = ~targets.isnan()
        weight = known * (1.0 if self._rows.weight is None else self._rows.weight)
        targets = targets.nan_to_num(0.0)
        tiny = torch.finfo(targets.dtype).tiny
        total = weight.sum(dim=1, keepdim=True).clamp_min(tiny)
        mean = (weight * targets).sum(dim=1, keepdim=True) / total
        residual = self._objective.evaluate(self._rows.coordinates) - targets
        error = (weight * residual.square()).sum(dim=1)
        spread = (weight * (targets - mean).square()).sum(dim=1)
        return (1 - error / spread.clamp_min(tiny)).mean(dim=1)


class Monitor(NamedTuple):
    """Who looks at a running fit: the progress bar, and early stopping.

    Parameters
    ----------
    progress : callable, optional
        Called every `CHECK_INTERVAL` updates with their number and the K losses of the last one.
    stopping : EarlyStopping, optional
    """

    progress: Callable[[int, Tensor], None] | None = None
    stopping: EarlyStopping | None = None

    def should_stop(self, n_iter: int, losses: Tensor) -> bool:
        """Show the losses (K,) of update `n_iter`, and say whether it was the last."""
        if self.progress and n_iter % CHECK_INTERVAL == 0:
            self.progress(n_iter, losses)
        due = self.stopping and n_iter % self.stopping.interval == 0
        return bool(due and self.stopping and self.stopping.should_stop(n_iter))


@torch.no_grad()
def train(
    stack: SirenStack,
    rows: TrainingRows,
    objective: Objective,
    optimizer: Adam,
    rates: Sequence[float],
    *,
    batch_size: int,
    generators: Sequence[torch.Generator],
    monitor: Monitor,
) -> History:
    """Fit a stack by mini-batches, one update for each learning rate, in place.

    A KeyboardInterrupt ends the fit after the last whole update; the history says so.

    Parameters
    ----------
    stack : SirenStack of K networks
    rows : TrainingRows
    objective : Objective
    optimizer : Adam
    rates : sequence of float
        The learning rate of every update.
    batch_size : int
        Rows of an update; the whole table where it has no more than that.
    generators : sequence of K torch.Generator, or of 1 that the networks share
    monitor : Monitor

    Returns
    -------
    history : History
    """
    batches = rows.batches(batch_size, generators)
    losses = rows.targets.new_full((len(rates), len(stack)), torch.nan)
    safeguard = Safeguard(optimizer, DIVERGENCE_FACTOR * objective.scale(rows))
    n_iter = n_checked = 0
    interrupted = False
    try:
        for rate, batch in zip(rates, batches, strict=False):
            losses[n_iter], gradient = objective.loss_and_gradient(batch)
            optimizer.step(gradient, rate)
            n_iter += 1
            if n_iter == int(GUIDED_SHARE * len(rates)):
                rows.forget_implied()
            if n_iter % CHECK_INTERVAL == 0:
                safeguard.check(losses[n_checked:n_iter])
                n_checked = n_iter
            if monitor.should_stop(n_iter, losses[n_iter - 1]):
                break
    except KeyboardInterrupt:
        interrupted = True
    safeguard.check(losses[n_checked:n_iter])
    scores = monitor.stopping.finish() if monitor.stopping else None
    return History(
        _to_array(losses[:n_iter]), scores, _to_array(safeguard.n_step_backs), interrupted
    )


def _to_array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.cpu().numpy().astype(np.float64)
