"""Targets: what turns a quantised graph into something that a device runs."""
