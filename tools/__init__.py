"""Programs for those who change the course; a learner needs none of them."""
