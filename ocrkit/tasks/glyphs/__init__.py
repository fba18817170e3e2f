"""glyphs: single characters, or small words that count as one."""
