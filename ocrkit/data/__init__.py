"""data: from disk to batches. Samples tables, layouts, sources, lint, images, augmentation, stores."""
