"""tasks: what is built on all this. Glyph classes, letters, and the function that runs a recipe."""
