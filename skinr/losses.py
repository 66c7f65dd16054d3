"""Losses: a value and its derivative by the residual.

.. [1] Huber, Ronchetti. Robust Statistics. 2nd edition, Wiley, 2009.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

HUBER_TURN = 2.0
"""Residual at which the Huber loss turns linear, over the median size of all: 1.35 standard
deviations of a normal noise, of which it keeps 95% of the efficiency ([1], section 4.1)."""

ROUNDING = 1e-5
"""Relative error of a sum of weights in float32."""

Loss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Maps residuals r = prediction - target (..., B, c), and how much they count, to their losses and
the derivatives of those by them, in new tensors."""


def _squared(residual: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return residual.square(), 2 * residual


def _absolute(residual: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return residual.abs(), residual.sign()


def _huber(residual: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    clipped = clip_residuals(residual, weight)
    return clipped * (2 * residual - clipped), 2 * clipped


def clip_residuals(residual: Tensor, weight: Tensor) -> Tensor:
    """Clip residuals to where the Huber loss turns linear.

    Parameters
    ----------
    residual : Tensor of shape (..., n_rows, n_columns)
    weight : Tensor
        How much they count, in a shape that broadcasts to theirs.

    Returns
    -------
    clipped : Tensor of the shape of `residual`
        To `HUBER_TURN` times the weighted median of the sizes of each column.
    """
    size, order = residual.abs().sort(dim=-2)
    total = weight.expand_as(residual).gather(-2, order).cumsum(dim=-2)
    half = (1 - ROUNDING) / 2 * total[..., -1:, :]
    middle = (total < half).sum(dim=-2, keepdim=True)
    turn = HUBER_TURN * size.gather(-2, middle)
    return residual.clamp(-turn, turn)


LOSSES: dict[str, Loss] = {
    "squared_error": _squared,
    "absolute_error": _absolute,
    "huber": _huber,
}
"""The losses by name. "huber" equals "squared_error" near zero."""
