"""Sound to visemes without a text: features, a small network run by NumPy, a live listener."""
