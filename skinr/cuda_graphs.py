"""Functions of a batch as CUDA graphs: started as a whole, not kernel by kernel."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, TypeVar

import torch
from torch import Tensor

from skinr.rows import TrainingRows

_CAPTURING = Lock()
"""A process captures one function at a time."""

Result = TypeVar("Result")


def capture(
    function: Callable[[TrainingRows], Result], batch: TrainingRows
) -> Callable[[TrainingRows], Result] | None:
    """Capture what a function does as a CUDA graph; elsewhere there is nothing to gain.

    A small update is a hundred kernels, each of which takes less time than to start it.

    Parameters
    ----------
    function : callable
        Of the same operations on tensors, whatever numbers are in them.
    batch : TrainingRows
        Any batch of the shape.

    Returns
    -------
    captured : callable or None
        Does the same to batches of this shape; its results are buffers, overwritten by the next
        call. It does not refer to `function`.
    """
    device = batch.coordinates.device
    if device.type != "cuda":
        return None
    copies: dict[str, Any] = {name: part.clone() for name, part in _tensors(batch).items()}
    inputs = batch._replace(**copies)
    with _CAPTURING, torch.cuda.device(device):
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            function(inputs)  # so that libraries allocate what they need
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            result = function(inputs)

    def replay(batch: TrainingRows) -> Result:
        given = _tensors(batch)
        for name, part in _tensors(inputs).items():
            part.copy_(given[name])
        graph.replay()
        return result

    return replay


def _tensors(batch: TrainingRows) -> dict[str, Tensor]:
    parts = {
        "coordinates": batch.coordinates,
        "targets": batch.targets,
        "weight": batch.weight,
    }
    return {name: part for name, part in parts.items() if part is not None}
