"""Artifacts: the directory that ``compile`` writes, and the figures in it."""
