"""Graph to graph: simplification, quantisation, lowering to exact integers. One file a pass."""
