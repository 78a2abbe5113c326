"""External tools: which there are, and where."""
