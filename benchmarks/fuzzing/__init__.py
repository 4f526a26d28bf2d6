"""Files that are valid, ways to spoil them, and the readers that must refuse what is spoilt."""
