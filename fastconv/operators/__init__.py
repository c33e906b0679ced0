"""What users call: the functions and layers of every operator, checked and documented."""
