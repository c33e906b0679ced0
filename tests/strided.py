"""Arrays whose memory is awkward, for any number of axes."""

import numpy as np


def scattered(rng, x):
    """An array equal to x in memory of another order, with gaps, backwards, unaligned or read-only, or x itself."""
    if rng.random() < 0.3:
        return x
    order = rng.permutation(x.ndim) if rng.random() < 0.5 else np.arange(x.ndim)
    steps = rng.choice([1, 1, 1, 1, 2, -1, -3], x.ndim)
    if rng.random() < 0.4:
        steps[:] = 1
    sizes = [int(x.shape[axis] * abs(step)) for axis, step in zip(order, steps, strict=True)]
    odd = int(rng.random() < 0.2)
    raw = np.full(int(np.prod(sizes)) * x.itemsize + odd, 255, np.uint8)  # NaN, if read as a float
    memory = raw[odd:].view(x.dtype).reshape(sizes)
    view = memory[tuple(slice(None, None, int(step)) for step in steps)].transpose(np.argsort(order))
    view[...] = x
    view.flags.writeable = rng.random() < 0.8
    return view
