"""Matrix products by whichever library: right, and the same for one network and for many."""

import pytest
import torch

import skinr.products
from skinr.products import product, weight_gradient

pytestmark = pytest.mark.slow

SHAPES = [(64, 2, 128), (48, 128, 128), (2048, 64, 64), (2048, 128, 3), (2040, 192, 160), (7, 5, 1)]


@pytest.fixture(autouse=True, params=[False, True], ids=["MKL", "oneDNN"])
def library(request, monkeypatch):
    monkeypatch.setattr(skinr.products, "_has_vectors_unused_by_mkl", lambda: request.param)


def make(n_networks, n_rows, fan_in, fan_out):
    draw = torch.Generator().manual_seed(0)
    return [
        torch.randn(n_networks, *shape, generator=draw)
        for shape in [(n_rows, fan_in), (fan_in, fan_out), (1, fan_out), (n_rows, fan_out)]
    ]


def empty_like(result):
    return torch.full_like(result, torch.nan, dtype=torch.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n_networks", [1, 3])
def test_products_are_those_of_float64(shape, n_networks):
    inputs, weight, bias, gradient = make(n_networks, *shape)
    for own_bias in (bias, None):
        expected = inputs.double() @ weight.double() + (0 if own_bias is None else own_bias)
        output = empty_like(expected)
        product(inputs, weight, own_bias, output)
        torch.testing.assert_close(output.double(), expected, rtol=1e-4, atol=1e-4)
    expected = gradient.double() @ weight.double().mT
    output = empty_like(expected)
    product(gradient, weight.mT, None, output)
    torch.testing.assert_close(output.double(), expected, rtol=1e-4, atol=1e-4)
    expected = inputs.double().mT @ gradient.double()
    output = empty_like(expected)
    weight_gradient(inputs, gradient, output)
    torch.testing.assert_close(output.double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_network_alone_gives_the_bits_of_one_in_a_stack(shape):
    inputs, weight, bias, gradient = make(3, *shape)
    together, by_weights = torch.empty_like(gradient), torch.empty_like(weight)
    product(inputs, weight, bias, together)
    weight_gradient(inputs, gradient, by_weights)
    for k in range(3):
        alone, by_weight = torch.empty_like(gradient[:1]), torch.empty_like(weight[:1])
        product(inputs[k : k + 1], weight[k : k + 1], bias[k : k + 1], alone)
        weight_gradient(inputs[k : k + 1], gradient[k : k + 1], by_weight)
        assert torch.equal(alone[0], together[k])
        assert torch.equal(by_weight[0], by_weights[k])


@pytest.mark.parametrize(("fan_in", "fan_out"), [(64, 64), (128, 128), (300, 200), (256, 3)])
def test_rows_alone_give_what_rows_among_others_give(fan_in, fan_out):
    inputs, weight, bias, output = make(1, 2048, fan_in, fan_out)
    product(inputs, weight, bias, output)
    few = torch.empty_like(output[:, :64])
    product(inputs[:, :64], weight, bias, few)
    torch.testing.assert_close(few, output[:, :64], rtol=1e-5, atol=1e-4)


def test_networks_may_share_their_inputs():
    inputs, weight, bias, output = make(2, 2048, 128, 128)
    shared = inputs[:1].expand(2, -1, -1)
    product(shared, weight, bias, output)
    torch.testing.assert_close(output, shared @ weight + bias, rtol=1e-4, atol=1e-4)
