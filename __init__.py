"""Highbeam: batch inference on Apache Beam at Arrow speed, and not one row lost."""

__version__ = "0.1.0"
