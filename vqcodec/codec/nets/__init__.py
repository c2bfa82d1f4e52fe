"""The exact networks of the decoder."""
