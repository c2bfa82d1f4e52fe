"""A .vqv file as pictures, tensors and tokens."""
