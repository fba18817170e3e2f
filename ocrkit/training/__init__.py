"""training: from recipe to model. Recipe, step, loop, checkpoint, processes, center loss, splicing."""
