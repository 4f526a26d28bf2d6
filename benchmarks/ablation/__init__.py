"""What studies of recipes found, in words, tables and pictures for the page on it."""
