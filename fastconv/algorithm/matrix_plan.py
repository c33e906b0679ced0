"""Plans for `matrix`: what a dense convolution on matrix tiles has in place of registers of vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastconv import blocking
from fastconv.algorithm import matrix as m_
from fastconv.algorithm.common import move_name
from fastconv.algorithm.cut import Cut, Shape
from fastconv.blocking import Chunk
from fastconv.job import Job
from fastconv.microkernels.amxparts import PARTS, STEP
from fastconv.microkernels.inventory import microkernel
from fastconv.problem.conv import Problem
from fastconv.target import Target

# The products of parts that a stored type needs: three parts, two exact ones, one.
PRODUCTS = {"float32": 6, "float16": 4, "bfloat16": 1}


def _padded(extent: int, unit: int) -> int:
    return -(-extent // unit) * unit


def _sizes(problem: Problem, products: int) -> tuple[Chunk, int, int, int]:
    """The chunks of the reduction and their number; bytes of the weights of a chunk, and of a product of one output."""
    channels, outputs = problem.c // problem.groups, problem.k // problem.groups
    chunk = blocking.chunk_of(channels, problem.r, problem.s)
    product = 2 * PARTS[products]
    size = _padded(chunk.products, STEP) * _padded(outputs, m_.BLOCK) * product
    return chunk, chunk.count(channels, problem.r, problem.s), size, product


def packed_bytes(problem: Problem, products: int) -> int:
    """The size of all weights, packed."""
    _, chunks, size, _ = _sizes(problem, products)
    return problem.groups * chunks * size


def weights(problem: Problem, shape: Shape, target: Target) -> tuple[Job, int]:
    """The launch that packs the weights for `shape`, and the packed size in bytes."""
    chunk, chunks, chunk_bytes, product = _sizes(problem, shape.products)
    channels, outputs = problem.c // problem.groups, problem.k // problem.groups
    tiles, base, larger = blocking.split(-(-outputs // m_.TILE), shape.vectors)
    lanes = shape.lanes == "channels"
    turned = lanes or problem.borrowed
    move = move_name("transpose", problem, target, "rows") if turned else move_name("row", problem, target)
    pack = f"amx{'lanes' if lanes else 'rows'}_f32_{target.isa}_x{shape.products}"
    plan = np.zeros(m_.FIELDS, np.int64)
    for name, value in {
        "CHANNELS": channels, "CHUNK": chunk.channels, "R": problem.r, "CHUNK_R": chunk.rows, "S": problem.s,
        "CHUNK_S": chunk.columns, "OUTPUTS": outputs, "TILES": tiles, "TILE_BASE": base, "TILE_LARGER": larger,
        "SOURCE_ITEM": problem.itemsize, "PRODUCT_BYTES": product, "GROUP_BYTES": chunks * chunk_bytes,
        "CHUNKS": chunks, "CHUNK_BYTES": chunk_bytes, "MOVE": microkernel(move).address,
        "WIDE": problem.dtype == "float32", "PACK": microkernel(pack).address, "LANES": lanes,
        "TURN": microkernel(f"amxturned_f32_{target.isa}_x{shape.products}").address if problem.borrowed else 0,
        "BORROWED": problem.borrowed is not None,
    }.items():  # fmt: skip
        plan[getattr(m_, name)] = value
    size = problem.groups * chunks * chunk_bytes
    scratch = 64 + _padded(chunk.products, 8) * 8 + chunk.products * m_.BLOCK * 4
    return Job(m_.pack_weights.address, plan, problem.groups * chunks * tiles, scratch, 8 * size), size


def put_tiles(put: Callable, problem: Problem, shape: Shape, cut: Cut, target: Target, keep: list) -> None:
    """The kernels of blocks, and the weights they read."""
    along_pixels = shape.lanes == "pixels"
    kernels = np.zeros(9, np.int64)
    word = f"x{shape.products}"
    for high in blocking.sizes(-(-cut.outputs // m_.TILE), shape.vectors):  # tiles of outputs
        for wide in (1, 2):  # of pixels
            rows, columns = (high, wide) if along_pixels else (wide, high)
            block = f"{rows * m_.TILE}x{columns * m_.TILE}"
            kernel = microkernel(f"amx_f32_{block}_{target.isa}_{'px' if along_pixels else 'ch'}_{word}")
            kernels[high * 3 + wide] = kernel.address
    keep.append(kernels)
    _, chunks, chunk_bytes, product = _sizes(problem, shape.products)
    pack = microkernel(f"amx{'lanes' if along_pixels else 'rows'}_f32_{target.isa}_{word}")
    put(
        PIXELS_ARE_LANES=along_pixels, ITEM=cut.item, CHANNEL_TILES=cut.tiles,
        TILES_A_BLOCK=cut.tiles_a_block, UNIT=m_.TILE, GROUP_CHANNELS=cut.outputs, KERNELS=kernels.ctypes.data,
        X_PACK=pack.address, BLOCK_TILES=cut.block_tiles, JOINED=cut.joined, W_G=chunks * chunk_bytes,
        W_CHUNK=chunk_bytes, W_PRODUCT=product, STATE=microkernel(f"amxstate_f32_{target.isa}").address,
        PIECE=cut.piece,
    )  # fmt: skip
