"""What each op computes, element by element, in TIR; a module for each family of ops."""
