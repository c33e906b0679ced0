"""One file an algorithm, over the loops, packing and plans that they share."""
