"""ctc: from logits to text. Lattice, alignment, greedy and beam search, lexicon, pattern, confidence."""
