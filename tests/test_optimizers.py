import numpy as np
import pytest
import torch

import skinr.optimizers
from skinr.network import Architecture, SirenStack
from skinr.optimizers import Adam, learning_rates


def test_adam_on_folded_parameters_is_torchs_adam_on_the_papers(monkeypatch):
    omegas, betas, epsilon = [30.0, 4.0], (0.9, 0.99), 1e-3
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    stack = SirenStack.initialize(
        Architecture(2, (6, 5), 1), omegas, omegas, generators, dtype=torch.float64
    )
    reference = (stack.parameters / stack.frequencies).requires_grad_()
    torch_adam = torch.optim.Adam([reference], lr=0.01, betas=betas, eps=epsilon)
    monkeypatch.setattr(skinr.optimizers, "EPSILON", epsilon)
    adam = Adam(stack, beta_1=betas[0], beta_2=betas[1])
    draw = torch.Generator().manual_seed(9)
    for _ in range(20):
        reference.grad = torch.randn(reference.shape, generator=draw, dtype=torch.float64)
        torch_adam.step()
        adam.step(reference.grad / stack.frequencies, 0.01)
    torch.testing.assert_close(stack.parameters / stack.frequencies, reference.detach())


def test_a_state_goes_on_where_it_ended():
    generator = torch.Generator().manual_seed(0)
    architecture = Architecture(1, (4,), 1)
    straight = SirenStack.initialize(architecture, [2.0], [2.0], [generator])
    gradients = torch.rand(6, *straight.parameters.shape, generator=generator)
    split = SirenStack(architecture, [2.0], [2.0], straight.parameters.clone())
    adam = Adam(straight)
    for gradient in gradients:
        adam.step(gradient, 0.1)
    first = Adam(split)
    for gradient in gradients[:3]:
        first.step(gradient, 0.1)
    second = Adam(split, state=first.state)
    for gradient in gradients[3:]:
        second.step(gradient, 0.1)
    assert torch.equal(straight.parameters, split.parameters)


def test_each_network_has_a_rate_of_its_own():
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    stack = SirenStack.initialize(Architecture(1, (4,), 1), [2.0] * 2, [2.0] * 2, generators)
    before = stack.parameters.clone()
    adam = Adam(stack)
    adam.slow_down(torch.tensor([1.0, 0.1]))
    adam.step(torch.ones_like(before), 0.01)
    moved = before - stack.parameters
    torch.testing.assert_close(moved[1], 0.1 * moved[0], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("max_iter", [1, 2, 10, 1000])
def test_one_cycle_rises_and_falls(max_iter):
    rates = learning_rates("one_cycle", 0.5, max_iter)
    peak = rates.argmax()
    assert len(rates) == max_iter
    assert (rates > 0).all()
    assert rates.max() <= 0.5
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    if max_iter == 1000:
        assert rates.max() > 0.499
        assert rates[-1] < 1e-4


def test_constant():
    np.testing.assert_array_equal(learning_rates("constant", 0.5, 3), [0.5] * 3)
