"""The database: migrations, the exactly-once commit of batches, and reading."""
