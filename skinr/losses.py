"""Losses: each is a value and its derivative by the residual; an objective sums them over rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from skinr.network import SirenStack, StackPass
from skinr.rows import TrainingRows

HUBER_DELTA = 0.1
"""Residual, in units of the (normalised) target, at which the Huber loss turns linear."""


class Loss(NamedTuple):
    """A loss of one residual r = prediction - target.

    Parameters
    ----------
    value : callable
        Maps residuals to losses of the same shape.
    derivative : callable
        Maps residuals to the derivatives of those losses, in a new tensor.
    """

    value: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]


def _huber(residual: Tensor) -> Tensor:
    clipped = residual.clamp(-HUBER_DELTA, HUBER_DELTA)
    return clipped * (2 * residual - clipped)


LOSSES = {
    "squared_error": Loss(torch.square, lambda residual: 2 * residual),
    "absolute_error": Loss(torch.abs, torch.sign),
    "huber": Loss(_huber, lambda residual: 2 * residual.clamp(-HUBER_DELTA, HUBER_DELTA)),
}
"""The losses by name. "huber" equals "squared_error" near zero."""


class Objective:
    r"""Mean loss over weighted rows and outputs, plus :math:`\alpha/2` times the squared weights.

    Parameters
    ----------
    stack : SirenStack
    loss : {"squared_error", "absolute_error", "huber"}
    alpha : float
        Strength of the L2 penalty on the weights W, the frequencies not folded; biases are free.
    """

    def __init__(self, stack: SirenStack, loss: str, alpha: float) -> None:
        self._loss = LOSSES[loss]
        self._stack = stack
        self._decay: Tensor | None = None
        if alpha > 0:
            self._decay = alpha / stack.frequencies.square()
            for _, bias in stack.layers(self._decay):
                bias.zero_()

    def loss_and_gradient(
        self, stack_pass: StackPass, batch: TrainingRows
    ) -> tuple[Tensor, Tensor]:
        """Return the objective of each network, and its derivative by the folded parameters.

        Parameters
        ----------
        stack_pass : StackPass
            Buffers of the batch's size.
        batch : TrainingRows

        Returns
        -------
        losses : Tensor of shape (K,)
        gradient : Tensor of shape (K, n_parameters)
            A buffer of `stack_pass`.
        """
        residual = stack_pass.forward(batch.coordinates) - batch.targets
        losses, output_gradient = self._loss.value(residual), self._loss.derivative(residual)
        output_gradient *= 1 / residual[0].numel()
        if batch.weight is not None:
            losses *= batch.weight
            output_gradient *= batch.weight
        gradient = stack_pass.backward(output_gradient)
        if self._decay is None:
            return losses.mean(dim=(1, 2)), gradient
        gradient.addcmul_(self._decay, self._stack.parameters)
        return losses.mean(dim=(1, 2)) + self._penalty(), gradient

    def scale(self, rows: TrainingRows) -> Tensor:
        """Return what predicting 0 would cost if every row were like the hardest; at least 1.

        Parameters
        ----------
        rows : TrainingRows

        Returns
        -------
        scale : Tensor of shape (K,) or (1,)
            With the penalty of the stack as it is now.
        """
        low, high = rows.targets.aminmax(dim=1)
        hardest = self._loss.value(torch.maximum(-low, high)).amax(dim=1)
        if rows.weight is not None:
            hardest *= rows.weight.amax(dim=(1, 2))
        return hardest.clamp_min(1.0) + self._penalty()

    def _penalty(self) -> Tensor:
        if self._decay is None:
            return self._stack.parameters.new_zeros(len(self._stack))
        return (self._decay * self._stack.parameters.square()).sum(dim=1) / 2
