"""Benchmarks of the engines, run by `sunriza bench`."""
