"""Other libraries' convolutions behind one interface: prepare(peer, pass, data, threads) -> a call that gives results.

A prepared call takes nothing; images in its results have their channels first. torch, jax and scipy are given their
weights anew at each call, as `conv2d` is; onnxruntime, openvino and ncnn hold them, as `Conv2d` does. Gradients are
torch's only.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastconv.bench import pools
from fastconv.bench.passes import Call, Pass
from fastconv.bench.reference import Data


class Peer(NamedTuple):
    """Another library."""

    module: str
    command: str  # that installs it
    anew: bool  # whether it is given weights anew at each call
    gradients: bool = False


PEERS = {
    "torch": Peer("torch", "pip install torch", True, gradients=True),
    "torch_cl": Peer("torch", "pip install torch", True, gradients=True),
    "onnxruntime": Peer("onnxruntime", "pip install onnxruntime onnx", False),
    "openvino": Peer("openvino", "pip install openvino", False),
    "ncnn": Peer("ncnn", "pip install ncnn", False),
    "jax": Peer("jax", "pip install jax", True),
    "scipy_ndimage": Peer("scipy", "pip install scipy", True),
    "scipy_signal": Peer("scipy", "pip install scipy", True),
}
# By the name that stands for all of a library's: torch's two formats, scipy's two modules.
LIBRARIES = {
    name: tuple(peer for peer in PEERS if peer.split("_")[0] == name)
    for name in dict.fromkeys(peer.split("_")[0] for peer in PEERS)
}
SCIPY_FLOPS = 1e7  # scipy needs half a second for more


def wanted(text: str, pass_: str = "forward") -> tuple[list[str], list[str]]:
    """(peers that are here, messages about those that are not) for a comma-separated list; "all" are all of them."""
    able = [name for name, peer in PEERS.items() if peer.gradients or pass_ == "forward"]
    names: list[str] = able if text == "all" else []
    for name in filter(None, (part.strip() for part in text.split(",") if text != "all")):
        if name not in PEERS and name not in LIBRARIES:
            raise ValueError(f"--against: {name!r} is not one of all, {', '.join(dict.fromkeys([*LIBRARIES, *PEERS]))}")
        asked = LIBRARIES.get(name, (name,))
        if not set(asked) <= set(able):
            raise ValueError(f"--against: {name} has no gradients; with --pass {pass_} it can be {', '.join(able)}")
        names += asked
    here, missing = [], []
    for name in dict.fromkeys(names):
        peer = PEERS[name]
        found = importlib.util.find_spec(peer.module) and (name != "onnxruntime" or importlib.util.find_spec("onnx"))
        if found:
            here.append(name)
        else:
            missing.append(f"{peer.module} is not installed; {peer.command}")
    return here, list(dict.fromkeys(missing))


def prepare(peer: str, pass_: Pass, data: Data, threads: int) -> Call:
    """A peer's call for one layer."""
    if not peer.startswith("torch") and data.layer.op != "conv2d":
        raise ValueError(f"{peer} is held against conv2d only")
    return globals()[f"_{peer.removesuffix('_cl')}"](peer, pass_, data, threads)


def _torch(peer: str, pass_: Pass, data: Data, threads: int) -> Call:
    import torch

    torch.set_num_threads(threads)
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(data.x.ndim)
    if peer == "torch_cl" and last is None:
        raise ValueError("torch has no channels_last for signals")
    form = last if peer == "torch_cl" else torch.contiguous_format
    arrays = data.first(data.x), data.w, data.first(data.dy)
    x, w, dy = (torch.from_numpy(a).contiguous(memory_format=form) for a in arrays)
    if pools.is_pool(data.layer):
        run = pools.torch_call(torch, pass_.name, data.layer, x, dy)
    else:
        run = pass_.torch(torch, x, w, dy, data.layer.kwargs)

    def call():
        with torch.inference_mode():
            return run()

    return call


def _onnxruntime(peer: str, pass_: Pass, data: Data, threads: int) -> Call:
    import onnx
    import onnxruntime
    from onnx import helper

    layer, w, first = data.layer, data.w, np.ascontiguousarray(data.first(data.x))
    kind = helper.np_dtype_to_tensor_dtype(first.dtype)
    (p, q), (sh, sw) = layer.padding, layer.stride
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[p, q, p, q], strides=[sh, sw],
                            dilations=list(layer.dilation), group=layer.groups)  # fmt: skip
    graph = helper.make_graph([node], "layer", [helper.make_tensor_value_info("x", kind, first.shape)],
                              [helper.make_tensor_value_info("y", kind, None)],
                              [onnx.numpy_helper.from_array(w, "w")])  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feed = {"x": first}
    return lambda: session.run(None, feed)[0]


def _openvino(peer: str, pass_: Pass, data: Data, threads: int) -> Call:
    import openvino as ov
    from openvino import opset13 as ops

    layer, w, first = data.layer, data.w, np.ascontiguousarray(data.first(data.x))
    node = ops.parameter(first.shape, dtype=first.dtype.type, name="x")
    pads = list(layer.padding)
    if layer.groups == 1:
        y = ops.convolution(node, ops.constant(w), list(layer.stride), pads, pads, list(layer.dilation))
    else:
        grouped = w.reshape(layer.groups, layer.k // layer.groups, *w.shape[1:])
        y = ops.group_convolution(node, ops.constant(grouped), list(layer.stride), pads, pads, list(layer.dilation))
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    if first.dtype == np.float32:
        settings["INFERENCE_PRECISION_HINT"] = "f32"
    request = ov.Core().compile_model(ov.Model([y], [node]), "CPU", settings).create_infer_request()
    held = ov.Tensor(first, shared_memory=True)  # the request does not keep it alive
    request.set_input_tensor(held)

    def call(held=held):
        request.infer()
        return request.get_output_tensor().data

    return call


def _ncnn(peer: str, pass_: Pass, data: Data, threads: int) -> Call:
    import ncnn

    layer, w, first = data.layer, data.w, np.ascontiguousarray(data.first(data.x))
    if first.dtype != np.float32 or len(first) != 1:
        raise ValueError("ncnn takes one float32 image at a time")
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    kind = "Convolution" if layer.groups == 1 else "ConvolutionDepthWise"
    (sh, sw), (p, q), (dh, dw) = layer.stride, layer.padding, layer.dilation
    fields = {0: layer.k, 1: layer.s, 11: layer.r, 2: dw, 12: dh, 3: sw, 13: sh, 4: q, 14: p, 5: 0,
              6: w.size, 7: layer.groups}  # fmt: skip
    numbers = " ".join(f"{key}={value}" for key, value in fields.items())
    param = f"7767517\n2 2\nInput x 0 1 x\n{kind} y 1 1 x y {numbers}\n"
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder) / "layer.param", Path(folder) / "layer.bin"
        paths[0].write_text(param)
        paths[1].write_bytes(b"\0\0\0\0" + w.tobytes())
        net.load_param(str(paths[0]))
        net.load_model(str(paths[1]))
    image = ncnn.Mat(first[0]).clone()

    def call():
        extractor = net.create_extractor()
        extractor.input("x", image)
        return np.array(extractor.extract("y")[1], copy=False)[None]

    return call


def _jax(peer: str, pass_: Pass, data: Data, threads: int) -> Call:
    if threads not in (1, os.cpu_count()):
        raise ValueError("jax runs on one thread or on all")
    if threads == 1:  # which XLA reads when it starts
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    import jax

    if data.x.dtype == np.float64:
        jax.config.update("jax_enable_x64", True)
    layer, first = data.layer, np.ascontiguousarray(data.first(data.x))

    @jax.jit
    def convolve(x, w):
        return jax.lax.conv_general_dilated(x, w, layer.stride, [(p, p) for p in layer.padding],
                                            rhs_dilation=layer.dilation, feature_group_count=layer.groups)  # fmt: skip

    arrays = jax.device_put(first), jax.device_put(data.w)
    return lambda: np.asarray(convolve(*arrays))


def _planes(data: Data) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """For scipy, which knows no stride: the padded images, the weights with their dilation, a choice of the outputs."""
    layer, first = data.layer, data.first(data.x)
    (p, q), (sh, sw), (dh, dw) = layer.padding, layer.stride, layer.dilation
    if layer.flops(len(first)) * sh * sw > SCIPY_FLOPS:
        raise ValueError(f"scipy takes too long for more than {SCIPY_FLOPS / 1e6:.0f} MFLOP")
    x = np.pad(first, [(0, 0), (0, 0), (p, p), (q, q)])
    w = np.zeros((*data.w.shape[:2], (layer.r - 1) * dh + 1, (layer.s - 1) * dw + 1), data.w.dtype)
    w[:, :, ::dh, ::dw] = data.w
    return x, w, lambda y: y[..., ::sh, ::sw]


def _scipy_signal(peer: str, pass_: Pass, data: Data, threads: int) -> Call:
    from scipy import signal

    (x, w, chosen), (k, c) = _planes(data), data.w.shape[:2]
    per = k // data.layer.groups

    def call():
        return np.array([[chosen(signal.correlate(image[i // per * c :][:c], w[i], "valid")[0]) for i in range(k)]
                         for image in x])  # fmt: skip

    return call


def _scipy_ndimage(peer: str, pass_: Pass, data: Data, threads: int) -> Call:
    from scipy import ndimage

    (x, w, chosen), (k, c) = _planes(data), data.w.shape[:2]
    per, (r, s) = k // data.layer.groups, w.shape[2:]
    inner = np.s_[r // 2 : x.shape[2] - (r - 1) + r // 2, s // 2 : x.shape[3] - (s - 1) + s // 2]

    def plane(image, i):
        """One output channel: the sum of its input channels' planes."""
        own = image[i // per * c :][:c]
        return sum(ndimage.correlate(a, b, mode="constant")[inner] for a, b in zip(own, w[i], strict=True))

    return lambda: np.array([[chosen(plane(image, i)) for i in range(k)] for image in x])
