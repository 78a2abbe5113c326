"""Static timing analysis of synthesised netlists, for fabrics that no open router covers."""
