"""Matrix products of stacks of networks, by the library with the better kernels for the CPU.

torch has two: MKL, and oneDNN for convolutions alone. MKL takes its widest vectors on Intel's
processors only, where it is faster; oneDNN compiles its kernels for the instructions there are, and
is twice as fast on other makes. A product is a convolution with a filter of one pixel.
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import conv2d
from torch.nn.grad import conv2d_weight

IMAGES = 16
"""Into so many the rows are divided; with fewer torch leaves oneDNN out on one thread."""

LONG_SUM = 128
"""Sums of fewer products are the same to the bit in both libraries, in order of the terms."""

LARGE_PRODUCT = 2**24
"""Multiplications from which shorter sums are worth the overhead as well."""

LARGE_INPUT = 2**17
"""Numbers in the input of a layer, rows times fan_in, from which oneDNN computes the gradient of
its weights as well."""

PIECE = 2**19
"""Numbers that a convolution gives at a time: memory that is used again before caches lose it."""


def product(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    output: Tensor,
    scratch: Tensor | None = None,
) -> None:
    """Write inputs @ weight + bias, to the same bits for a network alone and in a stack.

    Parameters
    ----------
    inputs : Tensor of shape (K, B, fan_in)
    weight : Tensor of shape (K, fan_in, fan_out)
    bias : Tensor of shape (K, 1, fan_out) or None
    output : Tensor of shape (K, B, fan_out)
    scratch : Tensor of shape (K, B, max(fan_in, fan_out)), optional
        Memory for what is summed where `fan_in` or `fan_out` is 1: to ask the system for it at
        every update may take longer than the sum.
    """
    fan_in, fan_out = weight.shape[1:]
    is_large = fan_in >= LONG_SUM or inputs.shape[1] * fan_in * fan_out >= LARGE_PRODUCT
    if fan_out == 1:
        _sum_of_products(inputs, weight, bias, output, scratch)
    elif is_large and _suits_convolution(inputs):
        for k in range(len(weight)):
            _convolve(inputs[k], weight[k], None if bias is None else bias[k, 0], output[k])
    elif bias is None:
        torch.bmm(inputs, weight, out=output)
    else:
        torch.baddbmm(bias, inputs, weight, out=output)


def weight_gradient(
    inputs: Tensor, gradient: Tensor, output: Tensor, scratch: Tensor | None = None
) -> None:
    """Write inputs.mT @ gradient, to the same bits for a network alone and in a stack.

    Parameters
    ----------
    inputs : Tensor of shape (K, B, fan_in)
    gradient : Tensor of shape (K, B, fan_out)
    output : Tensor of shape (K, fan_in, fan_out)
    scratch : Tensor of shape (K, B, max(fan_in, fan_out)), optional
        As for :func:`product`.
    """
    fan_in, fan_out = output.shape[1:]
    if min(fan_in, fan_out) == 1:
        torch.sum(torch.mul(inputs, gradient, out=scratch), dim=1, out=output.flatten(1))
    elif inputs.shape[1] * fan_in >= LARGE_INPUT and _suits_convolution(inputs):
        for k in range(len(output)):
            images, by_images = _images(inputs[k]), _images(gradient[k])
            filters = conv2d_weight(  # type: ignore[no-untyped-call]
                images, (fan_out, fan_in, 1, 1), by_images
            )
            output[k] = filters[:, :, 0, 0].T
    elif output.is_contiguous():
        torch.bmm(inputs.mT, gradient, out=output)
    else:  # torch would write one network after the other
        output.copy_(torch.bmm(inputs.mT, gradient))


def _sum_of_products(
    inputs: Tensor, weight: Tensor, bias: Tensor | None, output: Tensor, scratch: Tensor | None
) -> None:
    """Write one column: batched products with vectors round otherwise, and are slower."""
    sums = torch.sum(torch.mul(inputs, weight.mT, out=scratch), dim=2, out=output[..., 0])
    if bias is not None:
        sums.add_(bias[..., 0])


def _convolve(inputs: Tensor, weight: Tensor, bias: Tensor | None, output: Tensor) -> None:
    """Write the product of one network: inputs (B, fan_in), weight (fan_in, fan_out)."""
    filters = weight.T[:, :, None, None]
    n_rows = max(1, PIECE // weight.shape[1] // IMAGES) * IMAGES
    for piece, target in zip(torch.split(inputs, n_rows), torch.split(output, n_rows), strict=True):
        _images(target).copy_(conv2d(_images(piece), filters, bias))


def _images(rows: Tensor) -> Tensor:
    """View rows (B, width) as images of `width` channels, which are last in memory."""
    return rows.view(IMAGES, -1, 1, rows.shape[1]).permute(0, 3, 1, 2)


def _suits_convolution(inputs: Tensor) -> bool:
    return (
        inputs.dtype == torch.float32
        and inputs.device.type == "cpu"
        and inputs.shape[1] % IMAGES == 0
        and _has_vectors_unused_by_mkl()
    )


@cache
def _has_vectors_unused_by_mkl() -> bool:
    """Whether the processor has vectors of 512 bits, and another maker than MKL."""
    return (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and "Intel" not in _describe_processor()
    )


def _describe_processor() -> str:
    """Return what the system says of the processor, its maker among it."""
    try:
        return Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return platform.processor()
