"""The graph: typed tensors, ops with typed attributes, and the interpreter that judges all else."""
