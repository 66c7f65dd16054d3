import signal

import numpy as np
import pytest
import torch

from skinr.interruption import Interruption
from skinr.network import Architecture, SirenStack
from skinr.objectives import Objective
from skinr.optimizers import Adam, learning_rates
from skinr.passes import evaluate
from skinr.rows import TrainingRows
from skinr.training import CHECK_INTERVAL, EarlyStopping, Monitor, train

pytestmark = pytest.mark.slow

ARCHITECTURE = Architecture(1, (24, 24), 1)


def make_stack(omegas, seeds):
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return SirenStack.initialize(ARCHITECTURE, omegas, omegas, generators, dtype=torch.float64)


def make_rows(n_rows=60, frequencies=(6.0,)):
    X = torch.linspace(-1, 1, n_rows, dtype=torch.float64)[None, :, None]
    return TrainingRows(X, torch.cat([torch.sin(frequency * X) for frequency in frequencies]))


def fit(stack, rows, *, rates=None, batch_size=16, seeds=(0,), monitor=None, alpha=0.0):
    return train(
        rows,
        Objective(stack, "squared_error", alpha),
        Adam(stack),
        learning_rates("one_cycle", 5e-3, 300) if rates is None else rates,
        batch_size=batch_size,
        generators=[torch.Generator().manual_seed(seed) for seed in seeds],
        monitor=monitor or Monitor(Interruption()),
    )


@pytest.mark.parametrize("batch_size", [16, 1000], ids=["mini-batches", "full batch"])
@pytest.mark.parametrize("frequencies", [(6.0,), (3.0, 6.0, 9.0)], ids=["shared", "own rows"])
def test_a_stack_learns_what_its_networks_learn_alone(batch_size, frequencies):
    omegas = [2.0, 5.0, 10.0]
    rows = make_rows(frequencies=frequencies)
    together = make_stack(omegas, [0, 1, 2])
    history = fit(together, rows, batch_size=batch_size, seeds=[5, 6, 7])
    for k, omega in enumerate(omegas):
        alone = make_stack([omega], [k])
        own = TrainingRows(rows.coordinates, rows.targets[[k % len(frequencies)]])
        alone_history = fit(alone, own, batch_size=batch_size, seeds=[5 + k])
        torch.testing.assert_close(together.parameters[k], alone.parameters[0], atol=1e-6, rtol=0)
        np.testing.assert_allclose(history.losses[:, k], alone_history.losses[:, 0], atol=1e-8)


@pytest.mark.parametrize("batch_size", [16, 1000], ids=["mini-batches", "full batch"])
@pytest.mark.parametrize("weighted", [False, True])
def test_networks_with_different_numbers_of_rows_learn_what_they_learn_alone(batch_size, weighted):
    sets = [make_rows(n_rows) for n_rows in (60, 57, 41)]
    if weighted:
        weight = torch.linspace(0.5, 1.5, 57, dtype=torch.float64)[None, :, None]
        sets[1] = sets[1]._replace(weight=weight)
    alone = [make_stack([5.0], [k]) for k in range(3)]
    together = SirenStack.join(alone)
    history = fit(
        together, TrainingRows.join(sets, batch_size), batch_size=batch_size, seeds=[5, 6, 7]
    )
    for k, (stack, rows) in enumerate(zip(alone, sets, strict=True)):
        alone_history = fit(stack, rows, batch_size=batch_size, seeds=[5 + k])
        torch.testing.assert_close(together.parameters[k], stack.parameters[0], atol=1e-6, rtol=0)
        np.testing.assert_allclose(history.take(k).losses, alone_history.losses, atol=1e-8)


def test_it_learns():
    stack, rows = make_stack([5.0], [0]), make_rows()
    history = fit(stack, rows)
    error = (evaluate(stack, rows.coordinates) - rows.targets).square().mean().item()
    assert error < 1e-4
    assert history.losses.shape == (300, 1)
    assert history.losses[0, 0] > 100 * history.losses[-1, 0]


def test_one_diverging_network_steps_back_and_the_others_go_on():
    stack, rows = make_stack([5.0, 5.0], [0, 1]), make_rows()
    alone = make_stack([5.0], [0])

    class Explosion(Adam):
        def step(self, gradient, learning_rate):
            super().step(gradient, learning_rate)
            if self.n_updates == 100:
                self.parameters[1] = torch.nan

    history = train(
        rows,
        Objective(stack, "squared_error", 0.0),
        Explosion(stack),
        learning_rates("one_cycle", 5e-3, 300),
        batch_size=16,
        generators=[torch.Generator().manual_seed(seed) for seed in (0, 1)],
        monitor=Monitor(Interruption()),
    )
    fit(alone, rows)
    assert history.n_step_backs.tolist() == [0, 1]
    assert np.isfinite(history.losses).all()
    torch.testing.assert_close(stack.parameters[0], alone.parameters[0], atol=1e-6, rtol=0)
    error = (evaluate(stack, rows.coordinates) - rows.targets).square().mean(dim=(1, 2))
    assert error.max() < 1e-2


@pytest.mark.parametrize("rate", [1e3, 1e30])
def test_an_absurd_learning_rate_leaves_finite_parameters(rate):
    stack = make_stack([5.0], [0])
    history = fit(stack, make_rows(), rates=[rate] * 100)
    assert history.n_step_backs[0] > 0
    assert stack.parameters.isfinite().all()


def test_divergence_in_the_last_updates_is_undone():
    stack = make_stack([5.0], [0])
    rates = [*learning_rates("one_cycle", 5e-3, 299), torch.nan]
    fit(stack, make_rows(), rates=rates)
    assert stack.parameters.isfinite().all()


def test_a_spike_is_no_divergence():
    rows = make_rows(1000)
    targets = torch.zeros_like(rows.targets)
    targets[0, 500] = 1000**0.5
    history = fit(make_stack([5.0], [0]), TrainingRows(rows.coordinates, targets))
    assert history.n_step_backs.tolist() == [0]


@pytest.mark.parametrize("updates", [1, CHECK_INTERVAL, 3 * CHECK_INTERVAL + 4])
def test_a_signal_ends_a_fit_after_a_whole_update(updates):
    class Signalling(Adam):
        def step(self, gradient, learning_rate):
            super().step(gradient, learning_rate)
            if self.n_updates == updates:
                signal.raise_signal(signal.SIGTERM)

    stack, reference = make_stack([5.0], [0]), make_stack([5.0], [0])
    rows = make_rows()
    rates = [1e-3] * 100
    with Interruption() as interruption:
        history = train(
            rows,
            Objective(stack, "squared_error", 0.0),
            Signalling(stack),
            rates,
            batch_size=16,
            generators=[torch.Generator().manual_seed(0)],
            monitor=Monitor(interruption),
        )
    assert history.interruption == "SIGTERM"
    assert len(history.losses) == updates
    fit(reference, rows, rates=rates[:updates])
    assert torch.equal(stack.parameters, reference.parameters)


def test_a_signal_during_the_last_update_is_not_lost():
    stack, rows = make_stack([5.0], [0]), make_rows()
    with Interruption() as interruption:
        monitor = Monitor(
            interruption, progress=lambda n_iter, loss: signal.raise_signal(signal.SIGINT)
        )
        history = fit(stack, rows, rates=[1e-3] * CHECK_INTERVAL, monitor=monitor)
    assert history.interruption == "Ctrl-C"
    assert len(history.losses) == CHECK_INTERVAL


def early_stopping(stack, validation, **options):
    objective = Objective(stack, "squared_error", 0.0)
    options = {"tol": 1e-4, "batch_size": 16, "max_iter": 5000, **options}
    return EarlyStopping(validation, objective, **options)


def test_early_stopping_keeps_the_best_moment_and_stops():
    draw = torch.Generator().manual_seed(1)
    rows = make_rows(30)
    noise = torch.randn(rows.targets.shape, generator=draw, dtype=torch.float64)
    noisy = TrainingRows(rows.coordinates, rows.targets + noise)
    validation = make_rows(200)
    stack = make_stack([30.0], [0])
    stopping = early_stopping(stack, validation, n_iter_no_change=100)
    rates = [1e-3] * 5000
    history = fit(stack, noisy, rates=rates, monitor=Monitor(Interruption(), stopping=stopping))
    assert len(history.losses) < 5000
    residual = evaluate(stack, validation.coordinates) - validation.targets
    score = 1 - residual.square().sum() / (
        (validation.targets - validation.targets.mean()).square().sum()
    )
    assert score.item() == pytest.approx(history.validation_scores.max())


def test_early_stopping_of_a_stack_is_that_of_each_network():
    rows, validation = make_rows(30), make_rows(100)
    stack = make_stack([3.0, 40.0], [0, 1])
    stopping = early_stopping(stack, validation, n_iter_no_change=10_000)
    history = fit(stack, rows, seeds=[0, 1], monitor=Monitor(Interruption(), stopping=stopping))
    for k, omega in enumerate([3.0, 40.0]):
        alone = make_stack([omega], [k])
        own = early_stopping(alone, validation, n_iter_no_change=10_000)
        fit(alone, rows, seeds=[k], monitor=Monitor(Interruption(), stopping=own))
        torch.testing.assert_close(stack.parameters[k], alone.parameters[0], atol=1e-6, rtol=0)
    assert history.validation_scores.shape[1] == 2


def test_progress_sees_the_losses():
    seen = []
    monitor = Monitor(
        Interruption(), progress=lambda n_iter, loss: seen.append((n_iter, loss.item()))
    )
    history = fit(make_stack([5.0], [0]), make_rows(), monitor=monitor)
    assert [n_iter for n_iter, _ in seen] == list(range(CHECK_INTERVAL, 301, CHECK_INTERVAL))
    assert seen[-1][1] == pytest.approx(history.losses[-1, 0])


def test_the_penalty_shrinks_the_weights():
    free, held = make_stack([5.0], [0]), make_stack([5.0], [0])
    fit(free, make_rows())
    fit(held, make_rows(), alpha=0.1)

    def squared_weights(stack):
        return sum(weight.square().sum() for weight, _ in stack.layers(stack.parameters))

    assert squared_weights(held) < 0.8 * squared_weights(free)
