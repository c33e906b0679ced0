"""The cost model's constants: measured once for everybody, or fitted by `python -m fastconv tune --model`.

Cycles of one core, measured on Zen 3, 4 and 5 and on an Intel server core with 2 MB of L2; docs/regret.md shows what
they are worth. A fit is kept as `model.json` beside the tuning file, for the machine that it was made on.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from fastconv import winners
from fastconv.target import Target

FORMAT, VERSION = "fastconv cost model", 4


@dataclass(frozen=True)
class Constants:
    """What one of each thing costs."""

    move: float = 0.4  # to pack one element of a channels-last strip
    move_pixel: float = 20.0  # to start one of its pixels, where those of other groups lie between
    plane: float = 70.0  # to pack one channel of a channels-first strip, besides its rows
    line: float = 4.5  # to pack one vector of a row of it, for each vector that is read
    transpose: float = 0.65  # to write one output element through a transpose
    store: float = 0.12  # to write one output element straight from a tile
    store_apart: float = 0.0  # and more by kernels of several taps in place, to planes that L2 does not hold
    pack_weight: float = 2.5  # to pack one weight into a buffer, and read it there from another core's cache
    packing: float = 12_000.0  # to start a launch that packs
    pack_panel: float = 0.35  # to pack one weight into a panel that is used at once
    weight_byte: float = (
        0.075  # to read a byte of packed weights from L3; Intel's cores get 7 a cycle, half of it ahead
    )
    tile: float = 60.0  # to enter and leave a tile
    panel: float = 3.4  # to pack one vector of pixels into a panel that is used at once
    in_place_strided: float = 0.3  # extra share when windows in place lie as far apart as they are wide
    in_place_strided_point: float = 0.3  # the same of 1x1 kernels
    in_place_apart: float = 0.12  # extra share when each step of a 1x1 kernel's tiles reads scalars of another plane
    strips_unaligned: float = 0.05  # extra share when vectors of pixels start anywhere in a line, in strips
    conflict: float = 0.8  # extra share when windows in place have pixels that fall into two sets of L1, or one
    conflict_point: float = 0.35  # the same of 1x1 kernels where a tile has more pixels than a set has lines
    winograd_pack: float = 8.5  # to pack one vector of a strip
    winograd_row: float = 45.0  # to start one row of it
    winograd_line: float = 80.0  # to start a line of tiles, in or out
    winograd_in: float = 3.2  # to transform one vector of x to a product
    winograd_out: float = 2.6  # to transform one vector of sums
    winograd_write: float = 7.0  # to write one vector of y
    winograd_step: float = 1.1  # share of a register tile's step, with broadcasts from rows apart
    winograd_tile: float = 100.0  # to enter and leave a register tile
    winograd_scatter: float = 11.0  # to transform one vector to a product where sums fill L2 beside it
    winograd_near_step: float = 1.2  # share of a register tile's step whose sums come from L2
    winograd_sum: float = 4.0  # to add one vector of sums to those in L2
    winograd_tap: float = 15.0  # to write one vector of the weight's gradient
    winograd_far_weight: float = 0.09  # and more where they do not fit there
    winograd_far_tile: float = 0.5  # to read a byte of transformed tiles that L3 does not hold for all threads
    winograd_transform: float = 8.0  # to transform the weights of a vector of channels to a product
    winograd_taps: float = 200.0  # to bring the taps of one channel and a panel of outputs together for it
    winograd_start: float = 7_000.0  # to start a block, besides its lines and tiles
    winograd_cut: float = 3.0  # to cut a transformed vector into bfloat16 parts
    winograd_cut_weight: float = 32.0  # the same of weights just before their use
    winograd_cut_packed: float = 8.0  # and beforehand
    winograd_held: float = 40.0  # and more to read them where other cores hold them
    winograd_matrix_step: float = 0.95  # share of the cycles of a product of matrix tiles
    winograd_block: float = 180.0  # to enter and leave a block of matrix tiles
    winograd_matrix_byte: float = 0.17  # to read a byte that L2 does not hold
    winograd_matrix_again: float = 0.4  # share of that for tiles that are read again
    winograd_shared_transform: float = 24.0  # the same where other cores hold the memory and will read it
    regroup_weight: float = 1.5  # to bring one weight to its place in the input gradient's convolutions
    join: float = 0.5  # to put one element of the input gradient together from phases
    join_row: float = 20.0  # to start a piece of a row of it, where strides are not 2
    columns_weight: float = 0.3  # to read a byte of weights from memory as the image of a product
    fold_row: float = 20.0  # to start one row of it that is added up from columns
    fold_phase: float = 20.0  # and each phase of that row
    fold_element: float = 0.2  # to add one element of columns that are near
    gradient_tile: float = 120.0  # to enter and leave a register tile of a weight gradient
    gather_lanes: float = 7.0  # to pack one vector of pixels whose channels lie apart
    spread_lanes: float = 2.5  # the same where they are side by side
    lane_row: float = 40.0  # to start one row of it
    read_scalar: float = 0.12  # to read one scalar in place, from L3
    pack_scalar: float = 0.4  # to pack one scalar
    gradient_sum: float = 20.0  # to bring one vector of sums to dw
    gradient_shared_sum: float = 45.0  # the same where several segments are added up
    lanes_copy: float = 2.5  # depthwise: to bring one vector of channels into a strip whose pixels are whole vectors
    lanes_transpose: float = 6.5  # the same where a channel's pixels are side by side
    lanes_tap: float = 0.8  # to multiply a vector of it for one tap
    lanes_block: float = 600.0  # to start such a strip
    plane_tap: float = 0.75  # depthwise: to multiply a vector of pixels for one tap of the weight gradient
    plane_row: float = 1.5  # to load and shift a vector of a row of x for it
    plane_pair: float = 20.0  # to weave and store four vectors of the input gradient at stride 2
    plane_sums: float = 150.0  # to start a plane and add up its lanes
    depthwise_in: float = 5.0  # to pack one vector of pixels with channels in the lanes, through a transpose
    depthwise_out: float = 9.0  # to write one
    depthwise_row: float = 45.0  # to start one row of pixels, as for Winograd
    depthwise_tap: float = 1.15  # a tap of one
    depthwise_block: float = 1_500.0  # to start a vector of channels
    matrix_step: float = 1.6  # share of the cycles of a product of matrix tiles
    matrix_cut: float = 9.0  # to cut a vector of pixels into bfloat16 parts
    matrix_line: float = 9.0  # to pack one vector of a strip for that, for each vector that is read
    matrix_store: float = 0.4  # to write one output element
    matrix_weight: float = 0.11  # to read the parts of one weight from L3
    matrix_pack: float = 1.7  # to cut one weight into parts that are read once packed
    matrix_turn: float = 0.7  # and those that lie beside other outputs', just before their use
    matrix_start: float = 8_000.0  # to start a plan of matrix tiles, which are asleep
    matrix_gradient_step: float = 1.5  # of a weight gradient, where panels come from L2: as `matrix_step`
    matrix_cut_row: float = 15.0  # to cut a vector that comes from farther away: of rows
    matrix_cut_plane: float = 19.0  # of rows that become lanes
    matrix_cut_lane: float = 11.0  # of lanes
    matrix_sum: float = 1_600.0  # to enter and leave a block of tiles, and add its sums to others
    task: float = 300.0  # to start a task
    nest: float = 1_000.0  # to take scratch for a dense plan and read its numbers
    volume: float = 100_000.0  # to gather slices of a volume, in Python
    launch: float = 10_000.0  # to launch a kernel on threads

    def __post_init__(self):
        for name, value in asdict(self).items():
            if type(value) not in (int, float) or not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number of cycles, not {value!r}")


# Where a line says otherwise: processors by how LLVM's name for them begins, the later lines on top.
SPECIAL: dict[str, dict[str, float]] = {
    # Weights fetched ahead come from L3 as fast as they are used.
    "znver": {
        "weight_byte": 0.004,
        "move_pixel": 0.0,
        "plane": 40.0,
        "tile": 30.0,
        "task": 500.0,
        "line": 8.0,
        "pack_panel": 0.5,
        "packing": 6_000.0,
        "panel": 2.0,
        "in_place_strided": 0.15,
        "in_place_strided_point": 0.15,
        "in_place_apart": 0.0,
        "winograd_pack": 4.0,
        "winograd_write": 4.0,
        "depthwise_in": 8.0,
        "depthwise_out": 8.0,
        "depthwise_row": 0.0,
        "depthwise_tap": 0.7,
        "depthwise_block": 1_000.0,
    },
}
# Those without AVX-512 have vectors of half a line, masks that take long and 512 KB of L2.
for _name in ("znver1", "znver2", "znver3"):
    SPECIAL[_name] = {"in_place_apart": 0.4, "panel": 3.0, "transpose": 1.3, "join": 1.0, "winograd_scatter": 5.6,
                      "winograd_near_step": 0.94, "winograd_sum": 1.0}  # fmt: skip
# A vector is taken in two halves.
SPECIAL["znver4"] = {"store_apart": 0.5, "in_place_strided_point": 0.0, "packing": 12_000.0, "winograd_in": 5.0,
                     "winograd_out": 4.0, "winograd_write": 6.0, "winograd_taps": 300.0, "winograd_tile": 50.0,
                     "winograd_start": 12_000.0}  # fmt: skip


def default(target: Target) -> Constants:
    """The constants for everybody with a processor of this kind."""
    found = {}
    for name, some in SPECIAL.items():
        if target.name.startswith(name):
            found |= some
    return Constants(**found)


def path() -> Path | None:
    """Where a fit is kept; None: nowhere."""
    beside = winners.path()
    return None if beside is None else beside.with_name("model.json")


def machine(target: Target) -> str:
    """What a fit holds for."""
    return f"{target.name} {target.isa} L1 {target.l1} L2 {target.l2} L3 {target.l3}"


def load(target: Target) -> Constants:
    """The constants that were fitted for this machine, else its kind's."""
    where = path()
    try:
        data = json.loads(where.read_text()) if where is not None else {}
        if (data["format"], data["version"], data["machine"]) == (FORMAT, VERSION, machine(target)):
            return Constants(**data["constants"])
    except (OSError, ValueError, TypeError, KeyError):
        pass  # none, or one of another version: fitting anew replaces it
    return default(target)


def save(fitted: Constants, target: Target) -> Path:
    """Keep a fit for this machine."""
    where = path()
    if where is None:
        raise ValueError("--model: there is no folder for a fitted model; set FASTCONV_TUNING_FILE")
    data = {"format": FORMAT, "version": VERSION, "machine": machine(target), "constants": asdict(fitted)}
    where.parent.mkdir(parents=True, exist_ok=True)
    new = where.with_name(f"{where.name}.{os.getpid()}")
    new.write_text(json.dumps(data, indent=1) + "\n")
    os.replace(new, where)
    return where
