import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skinr import SirenRegressor
from skinr.eigenbasis import COVARIANCE_DECAY, Eigenbasis
from skinr.network import Architecture, SirenStack
from skinr.optimizers import Adam

ARCHITECTURE = Architecture(2, (7, 5), 3)
SHAPES = [(3, 7), (8, 5), (6, 3)]


def make_stack(n_networks=1, architecture=ARCHITECTURE):
    generators = [torch.Generator().manual_seed(k) for k in range(n_networks)]
    omegas = [3.0] * n_networks
    return SirenStack.initialize(architecture, omegas, omegas, generators, dtype=torch.float64)


def matrices(flat):
    """Weights and biases of each layer of the first network as one matrix."""
    layers = SirenStack.layers(make_stack(), flat[:1])
    return [torch.cat([weight[0], bias[0]]) for weight, bias in layers]


def squares(flat):
    """The left and right rotations of each layer of the first network."""
    sizes = [size for shape in SHAPES for size in shape]
    parts = flat[0].split([size**2 for size in sizes])
    views = [part.view(size, size) for part, size in zip(parts, sizes, strict=True)]
    return list(zip(views[::2], views[1::2], strict=True))


def draw(generator, n_networks=1):
    """A gradient whose entries differ in size and depend on each other."""
    gradient = torch.randn(n_networks, ARCHITECTURE.n_parameters, generator=generator)
    return gradient.to(torch.float64).cumsum(1)


def test_covariances_are_running_means_of_products():
    basis, generator = Eigenbasis(make_stack()), torch.Generator().manual_seed(0)
    gradients = [draw(generator) for _ in range(2)]
    for n_updates, gradient in enumerate(gradients, start=1):
        basis.follow(gradient, torch.zeros_like(gradient), n_updates)
    rows = [matrices(gradient) for gradient in gradients]
    shares = [(1 - COVARIANCE_DECAY) * COVARIANCE_DECAY, 1 - COVARIANCE_DECAY]
    expected = []
    for layer in range(3):
        pairs = [(row[layer], share) for row, share in zip(rows, shares, strict=True)]
        expected.append(sum(share * matrix @ matrix.T for matrix, share in pairs).ravel())
        expected.append(sum(share * matrix.T @ matrix for matrix, share in pairs).ravel())
    torch.testing.assert_close(basis.covariances[0], torch.cat(expected))


@given(st.integers(0, 2**31), st.integers(1, 60))
def test_the_basis_turns_and_nothing_is_lost(seed, n_updates):
    basis, generator = Eigenbasis(make_stack(2)), torch.Generator().manual_seed(seed)
    moment = basis.rotate(draw(generator, 2)).clone()
    before = basis.restore(moment).clone()
    for n in range(1, n_updates + 1):
        basis.follow(draw(generator, 2), moment, n)
    torch.testing.assert_close(basis.restore(moment), before)
    torch.testing.assert_close(basis.rotate(before), moment)
    assert not torch.equal(moment, before)


def test_covariances_become_diagonal():
    stack, generator = make_stack(), torch.Generator().manual_seed(0)
    basis, gradient = Eigenbasis(stack), draw(generator)
    for n in range(1, 2000):
        basis.follow(gradient, torch.zeros_like(gradient), n)
    left, rotation = squares(basis.covariances)[0][0], squares(basis.rotations)[0][0]
    rotated = rotation.T @ left @ rotation
    expected = torch.linalg.eigvalsh(left).flip(0)
    torch.testing.assert_close(rotated.diagonal(), expected)
    torch.testing.assert_close(
        rotated, torch.diag(expected), atol=1e-8 * float(expected[0]), rtol=0
    )


def test_soap_is_torchs_adam_of_rotated_weights_while_the_basis_stays():
    stack, generator = make_stack(), torch.Generator().manual_seed(3)
    basis = Eigenbasis(stack)
    for n in range(1, 17):
        basis.follow(draw(generator), torch.zeros_like(stack.parameters), n)
    rotations = squares(basis.rotations)
    references = [
        (left.T @ matrix @ right).clone().requires_grad_()
        for (left, right), matrix in zip(
            rotations, matrices(stack.parameters / stack.frequencies), strict=True
        )
    ]
    torch_adam = torch.optim.Adam(references, lr=0.01, betas=(0.9, 0.99))
    basis.follow = lambda *_: None
    soap = Adam(stack, basis=basis)
    for _ in range(12):
        gradient = draw(generator)
        for reference, (left, right), matrix in zip(
            references, rotations, matrices(gradient), strict=True
        ):
            reference.grad = left.T @ matrix @ right
        torch_adam.step()
        soap.step(gradient / stack.frequencies, 0.01)
    fitted = matrices(stack.parameters / stack.frequencies)
    for reference, (left, right), matrix in zip(references, rotations, fitted, strict=True):
        torch.testing.assert_close(matrix, left @ reference.detach() @ right.T)


def test_a_state_goes_on_where_it_ended():
    generator = torch.Generator().manual_seed(0)
    gradients = [draw(generator, 2) for _ in range(50)]
    straight, split = make_stack(2), make_stack(2)
    soap = Adam(straight, basis=Eigenbasis(straight))
    for gradient in gradients:
        soap.step(gradient, 0.1)
    first = Adam(split, basis=Eigenbasis(split))
    for gradient in gradients[:23]:
        first.step(gradient, 0.1)
    second = Adam(split, basis=Eigenbasis(split), state=first.state)
    for gradient in gradients[23:]:
        second.step(gradient, 0.1)
    assert torch.equal(straight.parameters, split.parameters)


@pytest.fixture(scope="module")
def picture():
    draw = np.random.default_rng(0)
    X = np.stack(np.meshgrid(np.linspace(-1, 1, 32), np.linspace(-1, 1, 32)), -1).reshape(-1, 2)
    spectrum = np.fft.rfft2(draw.standard_normal((32, 32)))
    frequency = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.rfftfreq(32)) + 1 / 32
    return X, np.fft.irfft2(spectrum / frequency).ravel()


@pytest.mark.slow
def test_soap_learns_in_fewer_updates_than_adam(picture):
    losses = {
        solver: SirenRegressor((32,) * 3, solver=solver, max_iter=1500, random_state=0)
        .fit(*picture)
        .loss_curve_[-100:]
        .mean()
        for solver in ("adam", "soap")
    }
    assert losses["soap"] < 0.9 * losses["adam"], losses


def test_streams_take_soap_where_it_is_asked_for(picture):
    X, y = picture
    pieces = np.array_split(np.arange(len(X)), 4)
    soap = SirenRegressor(16, solver="soap", random_state=0)
    adam = SirenRegressor(16, solver="adam", random_state=0)
    for piece in pieces:
        soap.partial_fit(X[piece], y[piece])
        adam.partial_fit(X[piece], y[piece])
    assert not np.array_equal(soap.predict(X), adam.predict(X))
    soap.set_params(solver="adam").partial_fit(X, y)
    assert np.isfinite(soap.predict(X)).all()
