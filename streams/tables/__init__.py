"""Files of counts as people have them: encodings, separators, numbers, times and column names."""
