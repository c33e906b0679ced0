"""The texts of the public docstrings."""
