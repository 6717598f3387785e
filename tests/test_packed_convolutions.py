"""Packed convolutions: the numbers of the plain network, and fewer output channels that are computed for nothing."""

import numpy as np
import pytest

from instructme.dataset_tools.recognisers import note_network, packed_convolutions, weights

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(network: bytes, images: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})


def convolution(out: int, channels: int, frames: int, bins: int, step: int = 1) -> bytes:
    """Make a network of one convolution whose output is as large as its input, divided by the step."""
    rng, helper = np.random.default_rng(0), onnx.helper
    values = {"kernel": rng.normal(size=(out, channels, frames, bins)), "bias": rng.normal(size=out)}
    pads = [frames // 2, bins // 2] * 2
    node = helper.make_node("Conv", ["in", *values], ["out"], kernel_shape=[frames, bins], strides=[1, step], pads=pads)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("in", onnx.TensorProto.FLOAT, ["n", channels, 20, 48])],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, ["n", out, 20, "bins"])],
        [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)]).SerializeToString()


@pytest.mark.parametrize(
    ("out", "channels", "frames", "bins", "channels_after"),
    [
        (8, 8, 3, 39, 16),
        (1, 8, 5, 5, 8),
        (1, 32, 7, 3, 8),
        (3, 4, 3, 3, 3),
        (16, 8, 3, 3, 16),
        (1, 33, 3, 3, 1),
        (1, 1, 1, 9, 1),
    ],
)
def test_a_packed_convolution_gives_the_same_numbers(out, channels, frames, bins, channels_after):
    plain = convolution(out, channels, frames, bins)
    packed = packed_convolutions.pack(plain, 20)
    kernels = {each.name: each.dims for each in onnx.load_model_from_string(packed).graph.initializer}
    convolved = next(node for node in onnx.load_model_from_string(packed).graph.node if node.op_type == "Conv")
    assert kernels[convolved.input[1]][0] == channels_after
    images = np.random.default_rng(1).normal(size=(2, channels, 20, 48)).astype(np.float32)
    (wanted,), (got,) = run(plain, images), run(packed, images)
    assert wanted.shape == (2, out, 20, 48)
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_a_convolution_with_steps_stays_as_it_is():
    plain = convolution(1, 8, 3, 5, step=3)
    assert packed_convolutions.pack(plain, 20) == plain


@pytest.mark.skipif(not weights.available("notes"), reason="needs 'instructme models fetch notes'")
def test_the_network_of_basic_pitch_gives_the_same_activations():
    (plain,) = weights.read("notes", [note_network._MEMBER])
    packed = packed_convolutions.pack(plain, note_network._WINDOW_FRAMES)
    times = np.arange(note_network.WINDOW_SAMPLES) / note_network.RATE_HZ
    tones = sum(np.sin(2 * np.pi * each * times) for each in (220, 277.2, 329.6)) / 10
    noise = np.random.default_rng(2).normal(size=len(times)) / 100
    window = (tones + noise).astype(np.float32)[None, :, None]
    for wanted, got in zip(run(plain, window), run(packed, window), strict=True):
        assert wanted.max() > 0.3
        np.testing.assert_allclose(got, wanted, atol=2e-6)
