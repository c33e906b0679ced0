"""fastconv: fast convolution and pooling on the CPU for NumPy arrays."""
