"""Torch modules of DRE-SLCL; they know tensors and settings, nothing of slides, files or Qt."""
