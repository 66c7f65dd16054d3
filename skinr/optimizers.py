"""How a gradient becomes an update: the Adam rule for stacks, and the learning rate over time."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skinr.eigenbasis import Eigenbasis
from skinr.network import SirenStack

WARM_UP = 0.1
"""Share of the updates in which the one-cycle schedule rises."""

EPSILON = 1e-8
"""Added to the denominator of Adam, in units of the gradient by W."""


class AdamState(NamedTuple):
    """What Adam remembers between updates.

    Parameters
    ----------
    tensors : dict of str to Tensor of shape (K, ...)
        Running means of the gradient and of its square, and of the basis they are expressed in.
    n_updates : int
        Number of gradients in those means.
    """

    tensors: dict[str, Tensor]
    n_updates: int


class Adam:
    r"""Adam ([1]_, algorithm 1) for a stack whose frequencies are folded into its parameters.

    With :math:`W' = \omega W` the gradient by W is :math:`\omega` times that by W', so Adam on W
    is Adam on W' with the step multiplied by :math:`\omega` and :math:`\epsilon` divided by it. So
    it is in a basis that mixes the parameters of a layer, which have one :math:`\omega`.

    Parameters
    ----------
    stack : SirenStack
        The networks whose parameters are updated in place.
    beta_1, beta_2 : float in [0, 1)
        Decay of the running means of the gradient and of its square.
    basis : Eigenbasis, optional
        In which the rule is applied, which makes it SOAP; that of the parameters by default.
    state : AdamState, optional
        Where an earlier fit ended, of which a copy is taken; zero moments by default, and where
        the earlier fit was in a basis of another kind.

    References
    ----------
    .. [1] Kingma, Ba. Adam: A Method for Stochastic Optimization. ICLR 2015.
    """

    def __init__(
        self,
        stack: SirenStack,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        basis: Eigenbasis | None = None,
        state: AdamState | None = None,
    ) -> None:
        self.parameters = stack.parameters
        self._first_moment = torch.zeros_like(stack.parameters)
        self._second_moment = torch.zeros_like(stack.parameters)
        self._basis = basis
        self.n_updates = 0
        if state and state.tensors.keys() == self.state.tensors.keys():
            self.n_updates = state.n_updates
            for name, part in self.state.tensors.items():
                part.copy_(state.tensors[name])
        self._beta_1, self._beta_2 = beta_1, beta_2
        self._epsilon = EPSILON / stack.frequencies
        self.step_size = stack.frequencies.clone()
        self._denominator = torch.empty_like(stack.parameters)

    @property
    def state(self) -> AdamState:
        """What a later fit needs to go on from here, beside the parameters; not a copy."""
        tensors = {"first_moment": self._first_moment, "second_moment": self._second_moment}
        if self._basis:
            tensors["covariances"] = self._basis.covariances
            tensors["rotations"] = self._basis.rotations
        return AdamState(tensors, self.n_updates)

    def step(self, gradient: Tensor, learning_rate: float) -> None:
        """Update the parameters once.

        Parameters
        ----------
        gradient : Tensor of shape (K, n_parameters)
        learning_rate : float
        """
        self.n_updates += 1
        first_correction = 1 - self._beta_1**self.n_updates
        second_correction = 1 - self._beta_2**self.n_updates
        rotated = self._basis.rotate(gradient) if self._basis else gradient
        self._first_moment.lerp_(rotated, 1 - self._beta_1)
        self._second_moment.mul_(self._beta_2)
        self._second_moment.addcmul_(rotated, rotated, value=1 - self._beta_2)
        denominator = torch.sqrt(self._second_moment, out=self._denominator)
        torch.add(self._epsilon, denominator, alpha=1 / sqrt(second_correction), out=denominator)
        update = torch.div(self._first_moment, denominator, out=denominator)
        if self._basis:
            update = self._basis.restore(update)
            self._basis.follow(gradient, self._first_moment, self.n_updates)
        self.parameters.addcmul_(update, self.step_size, value=-learning_rate / first_correction)

    def slow_down(self, factor: Tensor) -> None:
        """Multiply the learning rate of each network by a factor (K,)."""
        self.step_size *= factor[:, None]


def learning_rates(schedule: str, learning_rate_init: float, max_iter: int) -> NDArray[np.float64]:
    """Return the learning rate of every update.

    Parameters
    ----------
    schedule : {"one_cycle", "constant"}
        "one_cycle" rises linearly to `learning_rate_init` over the first tenth of the updates
        and falls along half a cosine to 0 ([1]_, with the cosine of [2]_).
    learning_rate_init : float
    max_iter : int

    Returns
    -------
    rates : ndarray of shape (max_iter,)

    References
    ----------
    .. [1] Smith, Topin. Super-Convergence: Very Fast Training of Neural Networks Using Large
       Learning Rates. 2017. arXiv:1708.07120.
    .. [2] Loshchilov, Hutter. SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR 2017.
    """
    if schedule == "constant":
        return np.full(max_iter, learning_rate_init)
    time = np.arange(1, max_iter + 1) / (max_iter + 1)
    falling = (1 + np.cos(np.pi * (time - WARM_UP) / (1 - WARM_UP))) / 2
    rates: NDArray[np.float64] = learning_rate_init * np.where(
        time < WARM_UP, time / WARM_UP, falling
    )
    return rates
