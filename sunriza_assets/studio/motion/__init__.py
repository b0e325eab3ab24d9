"""Motion without pixels: templates and their key, the neutral reference, smoothing, the loop."""
