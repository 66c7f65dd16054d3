"""Networks as a fit begins with them: drawn anew, or those that were fitted before."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from skinr.choices import choose_frequencies, choose_weight_scale, head_start
from skinr.device import resolve_device
from skinr.ensemble import members_of, to_stack
from skinr.network import Architecture, SirenStack
from skinr.survey import Survey

if TYPE_CHECKING:
    from skinr.regressor import SirenRegressor

AUTO_LAYER_SIZES = (128,) * 4
"""Widths of the hidden layers, but for `LAYER_SIZES_OF_SMALL_TABLES`."""

LAYER_SIZES_OF_SMALL_TABLES = (96,) * 3
"""Those where least squares fit all rows, without derivatives: in half to three quarters of the
time errors are like those of `AUTO_LAYER_SIZES`, but for exact rows those of any two shapes or
random states are far apart, `examples/benchmarks/layers.py`. With slopes they are 1.2 times as
large, in the same time."""

FEWEST_ROWS_OF_SMALL_TABLES = 50
"""Rows from which tables take these: in noise 5 to 20 rows make their errors 1.25 times as large,
and 20 to 35 rows 1.1 times."""

MOST_PARAMETERS = 2**31
"""Most weights of a network: 8 GB in float32, and training takes five times as much."""


def architecture_of(regressor: SirenRegressor, survey: Survey, solver: str) -> Architecture:
    """Return the shape of a network that parameters and table ask for."""
    layout, sizes = survey.layout, layer_sizes(regressor, survey, solver)
    architecture = Architecture(
        layout.n_features, sizes, layout.n_outputs, regressor.output_activation
    )
    if architecture.n_parameters > MOST_PARAMETERS:
        raise ValueError(
            f"hidden_layer_sizes={regressor.hidden_layer_sizes!r} makes "
            f"{architecture.n_parameters} weights; at most {MOST_PARAMETERS} are accepted."
        )
    return architecture


def draw_networks(
    regressor: SirenRegressor,
    survey: Survey,
    architecture: Architecture,
    generators: list[torch.Generator],
    solver: str,
    n_epochs: float,
) -> SirenStack:
    """Draw the networks that a solver begins with."""
    start = head_start(regressor, solver, n_epochs)
    is_crowded = len(survey.table.X) > architecture.n_parameters
    frequencies = choose_frequencies(regressor, survey, solver, start)
    device, dtype = _device_and_dtype(regressor, solver)
    draws = []
    for generator in generators:
        state = generator.get_state()
        draws += [generator, *(torch.Generator().set_state(state) for _ in frequencies[1:])]
    return SirenStack.initialize(
        architecture,
        [first for first, _ in frequencies] * len(generators),
        [hidden for _, hidden in frequencies] * len(generators),
        draws,
        first_layer_init=regressor.first_layer_init,
        weight_scale=choose_weight_scale(regressor, start, n_epochs, is_crowded=is_crowded),
        device=device,
        dtype=dtype,
    )


def take_up(regressor: SirenRegressor, survey: Survey, solver: str) -> SirenStack:
    """Take up the fitted network, if parameters and table still ask for its shape."""
    fitted = regressor.network_.architecture
    asked = architecture_of(regressor, survey, solver)
    if isinstance(regressor.hidden_layer_sizes, str):
        asked = replace(asked, hidden_layer_sizes=fitted.hidden_layer_sizes)
    _check_same_network(regressor, asked)
    device, dtype = _device_and_dtype(regressor, solver)
    return to_stack(regressor.network_).to(device, dtype)


def _device_and_dtype(regressor: SirenRegressor, solver: str) -> tuple[torch.device, torch.dtype]:
    device = resolve_device(regressor.device)
    return (torch.device("cpu"), torch.float64) if solver == "lm" else (device, torch.float32)


def _check_same_network(regressor: SirenRegressor, architecture: Architecture) -> None:
    fitted = regressor.network_
    omega_0, hidden_omega_0 = fitted.omega_0, fitted.hidden_omega_0
    if regressor.omega_0 != "auto":
        omega_0 = hidden_omega_0 = float(regressor.omega_0)
    if regressor.hidden_omega_0 is not None:
        hidden_omega_0 = float(regressor.hidden_omega_0)
    changes = {
        "architecture": (fitted.architecture, architecture),
        "omega_0": (fitted.omega_0, omega_0),
        "hidden_omega_0": (fitted.hidden_omega_0, hidden_omega_0),
        "number of members, fewer than were asked for if it was interrupted,": (
            len(members_of(fitted)),
            regressor.n_estimators,
        ),
    }
    differing = [
        f"its {name} is {has}, and data and parameters now ask for {asked}"
        for name, (has, asked) in changes.items()
        if has != asked
    ]
    if differing:
        raise ValueError(
            "Going on from a fitted network keeps its shape, frequencies and members: "
            f"{'; '.join(differing)}. Set warm_start=False, or clone the estimator, to start anew."
        )


def layer_sizes(regressor: SirenRegressor, survey: Survey, solver: str) -> tuple[int, ...]:
    """Return the widths of the hidden layers, checked."""
    given = regressor.hidden_layer_sizes
    if isinstance(given, str):
        is_for_values = solver == "lm" and not survey.layout.has_derivatives
        are_enough = len(survey.table.X) >= FEWEST_ROWS_OF_SMALL_TABLES
        return LAYER_SIZES_OF_SMALL_TABLES if is_for_values and are_enough else AUTO_LAYER_SIZES
    sizes = np.atleast_1d(np.array(given, dtype=object)).tolist()
    if not sizes or not all(_is_count(size) for size in sizes):
        raise ValueError(
            'hidden_layer_sizes must be "auto", or one or more integers of at least 1; '
            f"{given!r} given."
        )
    return tuple(int(size) for size in sizes)


def _is_count(size: Any) -> bool:
    return isinstance(size, Integral) and not isinstance(size, bool) and int(size) >= 1
