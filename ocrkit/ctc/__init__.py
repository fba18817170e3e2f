"""ctc: from logits to text. Lattice, alignment, greedy and beam search, lexicon with its n-grams, pattern, confidence."""
