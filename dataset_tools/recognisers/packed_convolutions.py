"""Pack convolutions of an ONNX network: one with few output channels computes several neighbouring bins at once.

onnxruntime computes output channels in blocks of 16, so a convolution with one output channel takes as long as one with 16. The
packed one has several copies of the kernel, each one bin further, and takes steps of as many bins. So its output channels are
neighbours of the old output. The kernels only gain zeros, so the numbers stay the same.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

_BLOCK, _MOST_COPIES = 16, 8


def pack(network: bytes, frames: int) -> bytes:
    """Pack the convolutions of an ONNX network over images (N, channels, frames, bins).

    Convolutions along one axis, with steps, or with channels that do not fill blocks of 16 stay as they are: onnxruntime computes
    them in another way. The number of bins must be a multiple of 16 divided by the output channels, of 8 at most.
    """
    import onnx

    model = onnx.load_model_from_string(network)
    weights = {each.name: each for each in model.graph.initializer}
    nodes = list(model.graph.node)
    del model.graph.node[:]
    for node in nodes:
        kernel = onnx.numpy_helper.to_array(weights[node.input[1]]) if node.op_type == "Conv" else np.zeros((1, 1, 1, 1))
        copies = _copies(node, kernel.shape)
        model.graph.node.extend(_packed(model.graph, node, kernel, copies, frames) if copies > 1 else [node])
    return bytes(model.SerializeToString())


def _attributes(node: Any) -> dict[str, Any]:
    import onnx

    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def _copies(node: Any, shape: tuple[int, ...]) -> int:
    """Count the copies of a kernel (out, in, frames, bins) that fill a block; 1 where it does not pay."""
    out, channels, height, _ = shape
    blocks = channels <= _BLOCK or channels % _BLOCK == 0
    plain = height > 1 and blocks and _BLOCK % out == 0 and all(step == 1 for step in _attributes(node)["strides"])
    return min(_MOST_COPIES, _BLOCK // out) if plain else 1


def _packed(graph: Any, node: Any, kernel: np.ndarray, copies: int, frames: int) -> Iterator[Any]:
    """Write the nodes: the convolution, and the way of its channels back to bins."""
    from onnx import helper, numpy_helper

    out, _, _, width = kernel.shape
    moved = [np.pad(kernel, ((0, 0), (0, 0), (0, 0), (copy, copies - 1 - copy))) for copy in range(copies)]
    bias = next(numpy_helper.to_array(each) for each in graph.initializer if each.name == node.input[2])
    values = {
        "kernel": np.concatenate(moved),
        "bias": np.tile(bias, copies),
        "apart": np.array([0, copies, out, frames, -1]),
        "together": np.array([0, out, frames, -1]),
    }
    name = f"{node.output[0]}:packed:"
    graph.initializer.extend(numpy_helper.from_array(value, name + key) for key, value in values.items())
    changed = {"kernel_shape": [kernel.shape[2], width + copies - 1], "strides": [1, copies]}
    inputs = [node.input[0], name + "kernel", name + "bias"]
    yield helper.make_node("Conv", inputs, [name + "channels"], **(_attributes(node) | changed))
    yield helper.make_node("Reshape", [name + "channels", name + "apart"], [name + "copies"])
    yield helper.make_node("Transpose", [name + "copies"], [name + "bins"], perm=[0, 2, 3, 4, 1])
    yield helper.make_node("Reshape", [name + "bins", name + "together"], list(node.output))
