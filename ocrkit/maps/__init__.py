"""maps: why it read that. Class activation maps, targets, patches, checks, the explorer."""
