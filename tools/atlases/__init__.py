"""Atlases: fonts to the pictures of glyphs that `ocrkit.synth` draws with."""
