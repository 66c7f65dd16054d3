"""The basis in which an update rule that goes number by number suits a network's matrices."""

from __future__ import annotations

import torch
from torch import Tensor

from skinr.network import SirenStack

OBSERVATION_INTERVAL = 5
"""Updates between two gradients that enter the covariances."""

REFRESH_INTERVAL = 20
"""Updates between two improvements of the basis; before that, after 1, 2, 4, 8 and 16."""

COVARIANCE_DECAY = 0.95
"""What an observation leaves of the covariances before it."""


class Eigenbasis:
    r"""The eigenvectors of the gradients' covariances, layer by layer, followed as they turn.

    For the gradient G of a layer, its weights and biases as one matrix (fan_in + 1, fan_out), these
    are those of the running means of :math:`G G^T` (left) and :math:`G^T G` (right): the basis of
    Shampoo's preconditioner, in which [1]_ (algorithm 3) runs Adam. The basis follows by one
    step of subspace iteration and a QR decomposition at a time, as there.

    Parameters
    ----------
    stack : SirenStack
        The networks whose gradients will be rotated.

    Attributes
    ----------
    covariances, rotations : Tensor of shape (K, n)
        For each network its layers in order, each as left matrix, then right one.

    References
    ----------
    .. [1] Vyas, Morwani, Zhao, Kwun, Shapira, Brandfonbrener, Janson, Kakade. SOAP: Improving and
       Stabilizing Shampoo using Adam. ICLR 2025. arXiv:2409.11321.
    """

    def __init__(self, stack: SirenStack) -> None:
        self._shapes = [
            (fan_in + 1, fan_out) for fan_in, fan_out in stack.architecture.layer_shapes
        ]
        n_numbers = sum(rows**2 + columns**2 for rows, columns in self._shapes)
        self.covariances = stack.parameters.new_zeros(len(stack), n_numbers)
        self.rotations = torch.zeros_like(self.covariances)
        for left, right in self._pairs(self.rotations):
            left.diagonal(dim1=1, dim2=2).fill_(1)
            right.diagonal(dim1=1, dim2=2).fill_(1)
        self._rotated = torch.empty_like(stack.parameters)
        self._restored = torch.empty_like(stack.parameters)

    def rotate(self, gradient: Tensor) -> Tensor:
        """Express a gradient (K, n_parameters) in the basis; returns a buffer."""
        for (left, right), before, after in self._layers(gradient, self._rotated):
            torch.bmm(left.mT @ before, right, out=after)
        return self._rotated

    def restore(self, update: Tensor) -> Tensor:
        """Express an update (K, n_parameters) by the parameters again; returns a buffer."""
        for (left, right), before, after in self._layers(update, self._restored):
            torch.bmm(left @ before, right.mT, out=after)
        return self._restored

    def follow(self, gradient: Tensor, moment: Tensor, n_updates: int) -> None:
        """Take note of a gradient, and turn the basis where that is due.

        Parameters
        ----------
        gradient : Tensor of shape (K, n_parameters)
            By the parameters.
        moment : Tensor of shape (K, n_parameters)
            What is expressed in the basis and has to turn with it, in place.
        n_updates : int
            Gradients so far, with this one.
        """
        is_early = n_updates < REFRESH_INTERVAL and n_updates.bit_count() == 1
        if is_early or n_updates % OBSERVATION_INTERVAL == 0:
            self._observe(gradient)
        if is_early or n_updates % REFRESH_INTERVAL == 0:
            self._refresh(moment)

    def _observe(self, gradient: Tensor) -> None:
        for (left, right), matrix in zip(
            self._pairs(self.covariances), self._matrices(gradient), strict=True
        ):
            left.lerp_(matrix @ matrix.mT, 1 - COVARIANCE_DECAY)
            right.lerp_(matrix.mT @ matrix, 1 - COVARIANCE_DECAY)

    def _refresh(self, moment: Tensor) -> None:
        for covariances, rotations, matrix in zip(
            self._pairs(self.covariances),
            self._pairs(self.rotations),
            self._matrices(moment),
            strict=True,
        ):
            left, right = (
                _turn(covariance, rotation)
                for covariance, rotation in zip(covariances, rotations, strict=True)
            )
            matrix.copy_(left @ matrix @ right.mT)

    def _layers(
        self, before: Tensor, after: Tensor
    ) -> zip[tuple[tuple[Tensor, Tensor], Tensor, Tensor]]:
        return zip(
            self._pairs(self.rotations),
            self._matrices(before),
            self._matrices(after),
            strict=True,
        )

    def _matrices(self, flat: Tensor) -> list[Tensor]:
        """View (K, n_parameters) as a matrix (K, fan_in + 1, fan_out) for each layer."""
        parts = torch.split(flat, [rows * columns for rows, columns in self._shapes], dim=1)
        return [part.view(-1, *shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def _pairs(self, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
        """View (K, n) as square matrices, left and right, for each layer."""
        sizes = [size for shape in self._shapes for size in shape]
        parts = torch.split(flat, [size**2 for size in sizes], dim=1)
        squares = [part.view(-1, size, size) for part, size in zip(parts, sizes, strict=True)]
        return list(zip(squares[::2], squares[1::2], strict=True))


def _turn(covariance: Tensor, rotation: Tensor) -> Tensor:
    """Improve a rotation in place, and return what leads from the old coordinates to the new."""
    product = covariance @ rotation
    if product.device.type == "mps":  # where torch's own is missing or slower
        product = product.cpu()
    improved: Tensor = torch.linalg.qr(product)[0].to(rotation.device)
    change = improved.mT @ rotation
    rotation.copy_(improved)
    return change
