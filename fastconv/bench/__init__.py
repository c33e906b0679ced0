"""Measurements on the layers of networks: ours, checked against float64, and the peers' in the same run."""
