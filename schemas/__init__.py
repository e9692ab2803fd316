"""What data is and where it lies."""
