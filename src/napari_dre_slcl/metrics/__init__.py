"""How good predictions are, with their uncertainty; knows arrays, neither torch nor files."""
