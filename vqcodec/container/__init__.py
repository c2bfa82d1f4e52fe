"""Bytes of a .vqv file: packets, index, tracks, description. Knows no pictures."""
