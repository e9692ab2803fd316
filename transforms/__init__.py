"""Beam steps, one PTransform to a file, with the pure functions that do the work."""
