"""reader: from image to reading. CRNN and its backbones, `Recognizer`, model files, hooks."""
