"""What this encoder chooses: floats and searches, free to change without a new format."""
