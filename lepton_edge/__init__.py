"""Lepton Edge: from a trained network to a verified edge device."""
