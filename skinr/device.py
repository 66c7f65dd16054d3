"""Which device a fit runs on, and with how many threads after a fork."""

from __future__ import annotations

import os

import torch

if hasattr(os, "register_at_fork"):
    # OpenMP's threads are not forked: the child would wait for them without end.
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def resolve_device(name: str) -> torch.device:
    """Turn a name into a device that is on this machine.

    Parameters
    ----------
    name : str
        "auto" takes CUDA, then MPS, then the CPU; anything else is a torch device string such as
        "cpu", "cuda" or "cuda:1".

    Returns
    -------
    device : torch.device

    Raises
    ------
    ValueError
        If torch does not know the device, or it is not on this machine.
    """
    available = available_devices()
    if name == "auto":
        return torch.device(available[0])
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"device={name!r} is not a device that torch knows; accepted here are 'auto' and "
            f"{available}."
        ) from error
    here = device.type in available
    if device.type == "cuda" and device.index is not None:
        here = device.index < torch.cuda.device_count()
    if not here:
        raise ValueError(
            f"device={name!r} is not on this machine; accepted here are 'auto' and {available}."
        )
    return device


def available_devices() -> list[str]:
    """Return the types of device on this machine, the preferred one first."""
    accelerators = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    return [name for name, here in accelerators.items() if here] + ["cpu"]


def device_or_cpu(name: str) -> torch.device:
    """Return a device of this machine, or its CPU where it has none of that name."""
    try:
        return resolve_device(name)
    except ValueError:
        return torch.device("cpu")
