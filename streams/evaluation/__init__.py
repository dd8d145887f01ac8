"""Pages and pictures of the comparison of `auto` with single methods."""
