"""Hardware kernels: one class each, with parameters, foldings, meaning, cost and HLS text."""
