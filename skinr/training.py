"""How networks are fitted to rows: the loop, its safeguards, and when it stops."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skinr.checkpoint import State
from skinr.history import History
from skinr.interruption import Interruption
from skinr.objectives import Objective
from skinr.optimizers import Adam
from skinr.progress import Progress, show_nothing
from skinr.rows import TrainingRows
from skinr.stored_rows import Rows

CHECK_INTERVAL = 10
"""Updates between two looks at the loss."""

GUIDED_SHARE = 0.85
"""Share of the updates in which values that derivatives imply are fitted too."""

STEP_BACK_FACTOR = 0.1
"""What a divergence multiplies the learning rate with."""

DIVERGENCE_FACTOR = 3.0
"""A loss of so many times what predicting 0 costs, or the first one did, has diverged."""


class Safeguard:
    """Keeps the last good state of each network, and goes back to it where a loss diverges.

    Works on masks alone, so that a GPU is never waited for.

    Parameters
    ----------
    optimizer : Adam
    usual : Tensor of shape (K,)
        A loss that is usual in a fit that goes well. A network is saved while its loss is at most
        the larger of this and its first loss. It has diverged, and is taken back, if its loss is
        more than `DIVERGENCE_FACTOR` times that, or not finite.
    """

    def __init__(self, optimizer: Adam, usual: Tensor) -> None:
        self._optimizer = optimizer
        self._usual = usual
        self._state = {"parameters": optimizer.parameters, **optimizer.state.tensors}
        self._saved = {f"saved_{name}": part.clone() for name, part in self._state.items()}
        self.n_step_backs = torch.zeros(len(usual), dtype=torch.int64, device=usual.device)

    @property
    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps, the optimiser's state included."""
        return {
            **self._state,
            **self._saved,
            "step_size": self._optimizer.step_size,
            "usual": self._usual,
            "n_step_backs": self.n_step_backs,
        }

    def accept_first(self, losses: Tensor) -> None:
        """Count the first losses (K,) among the usual ones."""
        torch.fmax(self._usual, losses.nan_to_num(posinf=0.0), out=self._usual)

    def check(self, losses: Tensor) -> None:
        """Save networks whose losses (n_updates, K) are usual, take back those that diverged."""
        finite = self._optimizer.parameters.isfinite().all(dim=1)
        good = finite & (losses <= self._usual).all(dim=0)
        diverged = ~(finite & (losses <= DIVERGENCE_FACTOR * self._usual).all(dim=0))
        for part, saved in zip(self._state.values(), self._saved.values(), strict=True):
            torch.where(diverged[:, None], saved, part, out=part)
            torch.where(good[:, None], part, saved, out=saved)
        self._optimizer.slow_down(torch.where(diverged, STEP_BACK_FACTOR, 1.0))
        self.n_step_backs += diverged


class EarlyStopping:
    """Keeps the parameters of the best validation score, and says when to stop waiting.

    Parameters
    ----------
    rows : TrainingRows
        The validation rows; NaN marks a target that a row does not have.
    objective : Objective
    n_iter_no_change : int
        Updates without an improvement after which a network is done.
    tol : float
        Smallest gain in R² that counts as an improvement.
    batch_size : int
        Rows of an update; evaluations are spaced to cost at most a tenth of the updates.
    max_iter : int
        Updates of the whole fit.
    """

    def __init__(
        self,
        rows: TrainingRows,
        objective: Objective,
        *,
        n_iter_no_change: int,
        tol: float,
        batch_size: int,
        max_iter: int,
    ) -> None:
        self.interval = max(CHECK_INTERVAL, 3 * rows.n_rows // batch_size)
        self._rows, self._objective = rows, objective
        self._parameters = objective.stack.parameters
        self._n_iter_no_change, self._tol = min(n_iter_no_change, max_iter + 1), tol
        self._best_scores = self._score()
        self._improved_scores = self._best_scores.clone()
        self._improved_at = torch.zeros_like(self._best_scores)
        self._best_parameters = self._parameters.clone()
        n_scores, n_networks = max_iter // self.interval + 2, len(self._best_scores)
        self._scores = self._best_scores.new_full((n_scores, n_networks), nan)
        self._scores[0] = self._best_scores

    @property
    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {
            "best_scores": self._best_scores,
            "improved_scores": self._improved_scores,
            "improved_at": self._improved_at,
            "best_parameters": self._best_parameters,
            "validation_scores": self._scores,
        }

    def look(self, n_iter: int) -> None:
        """Evaluate where an evaluation is due after `n_iter` updates."""
        if n_iter % self.interval == 0:
            score = self._evaluate(n_iter // self.interval)
            improved = score > self._improved_scores + self._tol
            torch.where(improved, score, self._improved_scores, out=self._improved_scores)
            self._improved_at.masked_fill_(improved, n_iter)

    def is_over(self, n_iter: int) -> bool:
        """Return whether every network has gone too long without an improvement."""
        due = n_iter > 0 and n_iter % self.interval == 0
        return due and bool((n_iter - self._improved_at >= self._n_iter_no_change).all())

    def finish(self, n_iter: int) -> NDArray[np.float64]:
        """Evaluate once more, put the best parameters back, and return all scores."""
        last = n_iter // self.interval + 1
        self._evaluate(last)
        self._parameters.copy_(self._best_parameters)
        return _to_array(self._scores[: last + 1])

    def _evaluate(self, index: int) -> Tensor:
        score = self._score()
        self._scores[index] = score
        better = score > self._best_scores
        best = self._best_parameters
        torch.where(better[:, None], self._parameters, best, out=best)
        torch.where(better, score, self._best_scores, out=self._best_scores)
        return score

    def _score(self) -> Tensor:
        """R² of each network, the mean over the columns of the targets.

        Of a column that does not vary in these rows it is 1 less the mean squared error.
        """
        targets = self._rows.targets
        known = ~targets.isnan()
        weight = known * (1.0 if self._rows.weight is None else self._rows.weight)
        targets = targets.nan_to_num(0.0)
        precision = torch.finfo(targets.dtype)
        total = weight.sum(dim=1, keepdim=True).clamp_min(precision.tiny)
        mean = (weight * targets).sum(dim=1, keepdim=True) / total
        residual = self._objective.evaluate(self._rows.coordinates) - targets
        error = (weight * residual.square()).sum(dim=1)
        spread = (weight * (targets - mean).square()).sum(dim=1)
        varies = spread > precision.eps * (weight * targets.square()).sum(dim=1)
        return (1 - error / torch.where(varies, spread, total[:, 0])).mean(dim=1)


class Keeper(Protocol):
    """What keeps the state of a fit, from which it goes on to the same bits, as a Checkpoint."""

    def restore(self, state: State) -> int:
        """Put what is kept into tensors, and return how many updates that has behind it."""

    def is_due(self) -> bool:
        """Return whether to write before the last update."""

    def write(self, n_iter: int, state: State) -> None:
        """Keep the state after `n_iter` updates."""


class Monitor(NamedTuple):
    """Who looks at a running fit.

    Parameters
    ----------
    interruption : Interruption
    progress : Progress, default=show_nothing
        Called every `CHECK_INTERVAL` updates.
    stopping : EarlyStopping, optional
    checkpoint : Keeper, optional
    """

    interruption: Interruption
    progress: Progress = show_nothing
    stopping: EarlyStopping | None = None
    checkpoint: Keeper | None = None

    def restore(self, state: dict[str, Tensor]) -> int:
        """Take a state up from a checkpoint, and return how many updates it has behind it."""
        return self.checkpoint.restore(state) if self.checkpoint else 0

    def look(self, n_iter: int, losses: Tensor) -> None:
        """Show the losses (K,) of update `n_iter`, and evaluate where that is due."""
        if n_iter % CHECK_INTERVAL == 0:
            self.progress(n_iter, losses.mean())
        if self.stopping:
            self.stopping.look(n_iter)

    def keep(self, n_iter: int, state: dict[str, Tensor], *, is_last: bool) -> None:
        """Write a checkpoint where one is due."""
        if self.checkpoint and (is_last or self.checkpoint.is_due()):
            self.checkpoint.write(n_iter, state)

    def is_over(self, n_iter: int) -> bool:
        """Return whether early stopping ends the fit after `n_iter` updates."""
        return self.stopping is not None and self.stopping.is_over(n_iter)


@torch.no_grad()
def train(
    rows: Rows,
    objective: Objective,
    optimizer: Adam,
    rates: Sequence[float] | NDArray[np.float64],
    *,
    batch_size: int,
    generators: Sequence[torch.Generator],
    monitor: Monitor,
) -> History:
    """Fit a stack by mini-batches, one update for each learning rate, in place.

    Parameters
    ----------
    rows : TrainingRows or StoredRows
    objective : Objective
        Of a stack of K networks.
    optimizer : Adam
    rates : sequence of float
        The learning rate of every update.
    batch_size : int
        Rows of an update; the whole table where it has no more than that.
    generators : sequence of K torch.Generator
    monitor : Monitor

    Returns
    -------
    history : History
    """
    stack = objective.stack
    losses = stack.parameters.new_full((len(rates), len(stack)), nan)
    safeguard = Safeguard(optimizer, objective.baseline(rows, batch_size))
    stopping_state = monitor.stopping.state if monitor.stopping else {}
    state = {"losses": losses, **safeguard.state, **stopping_state}
    n_iter = monitor.restore(state)
    optimizer.n_updates += n_iter
    n_guided = int(GUIDED_SHARE * len(rates))
    if n_iter >= n_guided:
        rows.forget_implied()
    batches = rows.batches(batch_size, generators, first=n_iter)
    for rate, batch in zip(rates[n_iter:], batches, strict=False):
        if monitor.is_over(n_iter):
            break
        losses[n_iter], gradient = objective.loss_and_gradient(batch)
        if n_iter == 0:
            safeguard.accept_first(losses[0])
        optimizer.step(gradient, rate)
        n_iter += 1
        if n_iter == n_guided:
            rows.forget_implied()
        if n_iter % CHECK_INTERVAL == 0:
            safeguard.check(losses[n_iter - CHECK_INTERVAL : n_iter])
        monitor.look(n_iter, losses[n_iter - 1])
        monitor.keep(n_iter, state, is_last=False)
        if n_iter < len(rates) and monitor.interruption.is_due():
            break
    monitor.keep(n_iter, state, is_last=True)
    safeguard.check(losses[n_iter - n_iter % CHECK_INTERVAL : n_iter])
    return History(
        _to_array(losses[:n_iter]),
        monitor.stopping.finish(n_iter) if monitor.stopping else None,
        _to_array(safeguard.n_step_backs),
        monitor.interruption.ended_by,
    )


def _to_array(tensor: Tensor) -> NDArray[np.float64]:
    return tensor.cpu().numpy().astype(np.float64)
