"""A video from end to end: encode, decode, join, repair."""
