"""The FPGA backend: integer graphs to streaming dataflow accelerators."""
