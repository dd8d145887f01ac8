"""Real brokers and databases for tests: classes and functions, no fixtures."""
