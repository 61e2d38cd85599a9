"""Torch networks, losses and geometry: tensors in, tensors out; no files, no printing."""
