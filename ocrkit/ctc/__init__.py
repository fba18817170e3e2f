"""ctc: from logits to text. Lattice, alignment, greedy, beam, lexicon and pattern decoding, confidence."""
