"""Forward and backward passes of stacks of networks, and evaluations in chunks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from skinr.network import SirenStack
from skinr.products import product, weight_gradient

EVALUATION_CHUNK = 2048
"""Rows that pass through a network at a time when it is evaluated: what a CPU's caches hold."""

CHUNKS_FOR_GPU = 32
"""So many times the rows of a network go through it at a time on a GPU, to keep it busy."""

ROW_MULTIPLE = 64
"""Rows are padded to such a multiple: one row alone then takes the kernels of many, and is
rounded as among them, or nearly so."""


class StackPass:
    """Forward and backward passes of a stack over batches of one size, in buffers of their own.

    Parameters
    ----------
    stack : SirenStack
        The networks; their parameters are read at every pass.
    batch_size : int
        Number of rows B of every batch.
    backward : bool, default=True
        Whether :meth:`backward` will be called, for which the cosines are kept.
    """

    def __init__(self, stack: SirenStack, batch_size: int, *, backward: bool = True) -> None:
        self._layers = stack.layers(stack.parameters)
        self._is_sine = stack.architecture.is_sine
        shapes = stack.architecture.layer_shapes

        def buffer(width: int) -> Tensor:
            return stack.parameters.new_empty(len(stack), batch_size, width)

        self._activations = [buffer(fan_out) for _, fan_out in shapes]
        self._cosines = [buffer(fan_out) for _, fan_out in shapes] if backward else []
        self._scratch = [buffer(max(shape)) if min(shape) == 1 else None for shape in shapes]
        if backward:
            self._gradient = torch.empty_like(stack.parameters)
            self._gradients = stack.layers(self._gradient)

    def forward(self, coordinates: Tensor) -> Tensor:
        """Evaluate the K networks.

        Parameters
        ----------
        coordinates : Tensor of shape (K, B, n_features) or (1, B, n_features)
            Rows of each network, or rows that all share.

        Returns
        -------
        values : Tensor of shape (K, B, n_outputs)
            A buffer, overwritten by the next pass.
        """
        self._inputs = [coordinates.expand(len(self._activations[0]), -1, -1), *self._activations]
        for index, (weight, bias) in enumerate(self._layers):
            output = self._activations[index]
            product(self._inputs[index], weight, bias, output, self._scratch[index])
            if self._is_sine(index):
                if self._cosines:
                    torch.cos(output, out=self._cosines[index])
                torch.sin(output, out=output)
        return self._activations[-1]

    def backward(self, output_gradient: Tensor) -> Tensor:
        """Differentiate a loss of the last forward pass by the parameters.

        Parameters
        ----------
        output_gradient : Tensor of shape (K, B, n_outputs)
            Derivative of the loss by the values; overwritten where the output is a sine.

        Returns
        -------
        gradient : Tensor of shape (K, n_parameters)
            Derivative of the loss by the folded parameters; a buffer.
        """
        gradient = output_gradient
        if self._is_sine(-1):
            gradient.mul_(self._cosines[-1])
        for index in reversed(range(len(self._layers))):
            layer_input = self._inputs[index]
            by_weight, by_bias = self._gradients[index]
            weight_gradient(layer_input, gradient, by_weight, self._scratch[index])
            torch.sum(gradient, dim=1, keepdim=True, out=by_bias)
            if index > 0:
                weight, _ = self._layers[index]
                product(gradient, weight.mT, None, layer_input)
                gradient = layer_input.mul_(self._cosines[index - 1])
        return self._gradient


def evaluate(stack: SirenStack, coordinates: Tensor) -> Tensor:
    """Evaluate K networks at any number of positions.

    Parameters
    ----------
    stack : SirenStack
    coordinates : Tensor of shape (K, n_rows, n_features) or (1, n_rows, n_features)

    Returns
    -------
    values : Tensor of shape (K, n_rows, n_outputs)
    """
    return evaluate_in_chunks(
        stack,
        lambda n_rows: StackPass(stack, n_rows, backward=False).forward,
        coordinates,
        EVALUATION_CHUNK,
    )


def evaluate_in_chunks(
    stack: SirenStack,
    make_function: Callable[[int], Callable[[Tensor], Tensor]],
    coordinates: Tensor,
    chunk_size: int,
) -> Tensor:
    """Apply a function of K networks to rows in chunks that suit the device.

    Parameters
    ----------
    stack : SirenStack
    make_function : callable
        Given a number of rows B, returns a function from coordinates (K or 1, B, n_features) to
        results (K, B, ...), which may be a buffer.
    coordinates : Tensor of shape (K, n_rows, n_features) or (1, n_rows, n_features)
    chunk_size : int
        Rows at a time on a CPU, a multiple of `ROW_MULTIPLE`.

    Returns
    -------
    results : Tensor of shape (K, n_rows, ...)
    """
    if stack.parameters.device.type != "cpu":
        chunk_size *= max(1, CHUNKS_FOR_GPU // len(stack))
    n_rows = coordinates.shape[1]
    padded = nn.functional.pad(coordinates, (0, 0, 0, -n_rows % ROW_MULTIPLE))
    results = None
    for first in range(0, n_rows, chunk_size):
        chunk = padded[:, first : first + chunk_size]
        if first == 0 or chunk.shape[1] < chunk_size:
            function = make_function(chunk.shape[1])
        result = function(chunk)
        if results is None:
            results = result.new_empty(len(result), padded.shape[1], *result.shape[2:])
        results[:, first : first + chunk_size] = result
    assert results is not None
    return results[:, :n_rows]


def as_rows(part: Tensor) -> Tensor:
    """View (K, C, B, width) as (K, C * B, width), the form of the matrix products."""
    return part.flatten(1, 2)
