"""The tables predictions are published to and looked up in."""
