"""The one lowering for processors: a graph becomes kernels in TVM's TIR, and those machine code."""
