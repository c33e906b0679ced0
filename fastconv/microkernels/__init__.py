"""Microkernels."""
