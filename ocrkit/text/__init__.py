"""text: what a label is. Tokenizer, alphabets, edit distance, reading order, word lists."""
