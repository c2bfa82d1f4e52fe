"""Training a model: from folders of clips and photographs to a weights file."""
