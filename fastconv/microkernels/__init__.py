"""The contract of microkernels: what each computes, how its operands lie in memory, who handles edges.

A microkernel is a leaf: it takes addresses and sizes as 64-bit integers, returns nothing, and is compiled alone, on
first use, under its name. The name is a grammar (`names`) and the same string everywhere: symbol, cache file, test id,
log line. `inventory` lists every kernel; tests and the algorithms take them from there.

gemm_<dtype>_<rows>x<columns>_<isa>_<px|ch>[_strided][_pairs][_panel|_far|_near][_parts][_tail]

    y[i, :] = act( (first ? 0 : y[i, :]) + sum over q < depth of s_i(q) * v(q) + bias + residual[i, :] )

    `rows` scalars are broadcast against `columns` elements in whole vectors. Products are added in the order of q, each
    with one fused multiply-add, whatever the tile's shape or orientation; so results do not depend on the cut.
    parts: every `part` products are added up by themselves, and their sums in order; else `part` has no meaning.

    px: lanes are pixels                          ch: lanes are output channels
        v(q) = x[table[q] + lane]                     v(q) = w[q][lane], 64-byte aligned panel
        s_i(q) = w[q][i]                              s_i(q) = x[table[q] + i * element]
        strided: s_i(q) = w[i * pitch + q]            strided: s_i(q) = x[table[q] + i * pitch]

        panel w, packed:  q=0: k0 k1 .. k(rows-1) | q=1: k0 k1 ..        (px)
                          q=0: k0 k1 .... k(columns-1) | q=1: ...         (ch, zero beyond the last channel)

    `table` holds byte offsets from x, one for each product: a packed strip, the input itself, any layout or stride.
    pairs: v(q) = x[table[3 q] + lane], s_i(q) = w[table[3 q + 1] + i * pitch].
    panel: v(q) = x[q][lane], 64-byte aligned, whole vectors.
    panel, far: each step also asks for the cache line at ahead + table[q], or pairs: ahead + table[3 q + 2], where a
    later tile will read.
    near: w is near and y is not: lines of y are asked for first, instead of those of w ahead.
    parts: products are added up `part` at a time, in their order, and these sums to one another (precision="strict").
    tail: the last vector has `last` valid lanes; the others are neither read from x, y, bias, residual nor written.
    bias is one element a row (px) or a lane (ch); residual has y's shape with its own pitch; 0 means absent.
    activation: 0 none, 1 relu, 2 relu6, else the address of leaky_relu's slope.
    tiles: so many tiles, one after another. From one to the next x, w, y, bias, residual and ahead go on by steps of
    their own; the step of one that is absent is 0.

amx_<dtype>_<rows>x<columns>_<isa>_<px|ch>_<x1|x4|x6>

    The same sum on matrix tiles (`amx`), of panels that `amxlanes_` and others cut into bfloat16 parts: 1, 2 or 3
    of a number, of whose products the 1, 4 or 6 largest are added in float32. Those of a step and a pair of parts are
    added up from zero, the first and last 16 apart, then to the block's sums, whatever the block's shape.
    px: lanes are pixels, w has rows and x lanes         ch: lanes are output channels, x has rows and w lanes

        panel, rows:  [step of 32 products][part][tile of 16 rows][row][16 pairs of products, 16 apart][2]
        panel, lanes: [step of 32 products][part][tile of 16 lanes][16 such pairs][lane][2]

    A step's part has two tiles in memory, whatever the block reads of it; products beyond `depth` are zeros.
    `rows` rows and `last` lanes of the last vector are valid; the others are neither read from y, bias, residual nor
    written. first, bias, residual, activation are as above. next_x, next_w: the panels of the block that follows.
    Sums that are not finite are formed anew by multiply-adds of the numbers cut into parts, unless an operand is NaN.
    The thread has taken the tile registers with amxstate_<dtype>_<isa>, and gives them back with it.

amxsums_<dtype>_<rows>x<columns>_<isa>_x6

    The same block in whole tiles, z += x w or z = x w (first), without repair or anything else.

amxlanes_, amxrows_, amxcolumns_, amxturned_<dtype>_<isa>_<x1|x4|x6>
    numbers, cut off after eight bits, and what is left of them likewise (`amxparts`)
    amxlanes: lanes side by side, products where a table says; zeros complete the last step
    amxrows: products in pieces, side by side, where a table says; rows a pitch apart, of any part of the panel
    amxcolumns: the same, but rows become lanes
    amxturned: lanes side by side, products a pitch apart, of up to two tiles, become rows

dot_<dtype>_<rows>x<lanes>_<isa>                   rows of weights against one vector, lanes along the reduction
    sixteen sums or more of a row are formed apart

depthwise_<dtype>_<pixels>x<lanes>_<isa>_<3x3s1|...|taps>[_parts]
    lanes are channels, a tile is neighbouring pixels; x packed as [row][column][lane], w as [tap][lane]
    parts: as above, of `part` taps; in unrolled kernels of some kernel rows
depthrows_<dtype>_<pixels>x<lanes>_<isa>_<3x3s1|...>
    the same in place, where channels are side by side: a row of y, all channels of it (`depthrows`)

stencil_<dtype>_1x<pixels>_<isa>_<3x3s1|3x3x3s1|...>[_dilated]   lanes are pixels of a row of one plane, or of those of
    several slices, read in place (`stencil`); dilated: across, by any number of columns
stencilinput_, stencilweight_<dtype>_1x<lanes>_<isa>_<3x3s1|...>
    its gradients: dx of stride 2, rows woven of even and odd columns (`stencilinput`); dw, a number a tap (`tapsums`)

depthweight_<dtype>_<taps>x<lanes>_<isa>
    sums[t][lane] += sum over pixels p of dy[p][lane] * x[p + table[t]][lane]
    lanes are channels, both operands packed as for depthwise_, dy also in place where its vectors are whole

wgin_, wgweight_, wgout_, wgdy_, wgdw_<dtype>_<isa>_<4x4k3x3|...>[_tail]
    Winograd's transforms (`winograd`, `toomcook`): tile, then kernel; lanes are channels
wgpairin_, wgpairweight_<dtype>_<isa>_x6_<4x4k3x3|...>
    the same to rows and lanes of panels for matrix tiles: two vectors of channels, 16 pairs of channels

row_, spread_, panel_, transpose_, plane_<dtype>_<isa>      moves (`pack`, `plane`)
    <source><dtype> also widens: row_f16f32_avx512
pick_, flip_, slab_, comb_, weave_, weavethree_, weavefour_, fetch_, accumulate_<dtype>_<isa>
    moves and sums of one type (`regroup`)
overlap_, scatter_, lookup_<dtype>_<isa>           sums of pieces that overlap (`overlap`); places by index (`scatter`)
poolspans_, poolplanes_, poolpicks_, poolpixels_, poolfill_, poolrepeat_<dtype>_<isa>_<words>
    pools of parts and of whole planes (`poolparts`)
total_<dtype>_<isa>_<across|down>                  sums of a row, of columns; <source><dtype> also widens
finish_<dtype>_<isa>_<activation>[_past]           dst = round(act(src + residual)); <stored><dtype> also narrows
pooltaps_, poolrow_<dtype>_<isa>_<load>_<op>_<finish>...   windows of pools (`pool`, `reducer`)
poolpass_, poolpair_<dtype>_<isa>_<load>_<op>_<finish>...    those of few taps inside x, or from one element before it
    on (p1), or that end behind it, in one pass (`poolpass`)
poolslide_<dtype>_<isa>_<load>_<op>_<finish>_r<rows> three pixels wide, a column for three windows (`poolslide`)
poolsweep_<dtype>_<isa>_<load>_<op>_<finish>_r<rows>_t<taps>   rows along once, for all windows of them (`poolsweep`)
poolglide_<dtype>_<isa>_<load>_<op>_keep            many rows at the cost of three (`poolglide`)
poolspread_, poolscatter_, poolzero_, poolchoose_, poolselect_, poolspot_<dtype>_<isa>,
    poolscatter_<dtype>_<isa>_apart, poolapart_<dtype>_<isa>_<finish>_<times>
    moves of their gradients (`pool`, `poolapart`, `poolscatter`, `poolspot`)
fmapeak_<dtype>_<isa>                              multiply-adds in registers, the yardstick

Alignment: packed panels start on 64 bytes; every other operand needs no more than one element's alignment.
Out of bounds: nothing is read or written outside the arrays; a masked-off lane touches no memory. Strips have one
vector of slack that a whole-vector load may read; its lanes are not stored.
Edges: the caller cuts extents into near-equal parts, and every part size has its own kernel: no scalar epilogue.
Floating point: no fast-math flags; NaN, Inf, denormals and signed zeros as IEEE 754 says, but matrix tiles take
denormals for zeros, in parts, products and sums.
"""
