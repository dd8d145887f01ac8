"""From record batches to rows: validation, signals, order and flow of the commits."""
