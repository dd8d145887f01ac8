"""Getting data in: publishing events, and reading files of events and of aggregated counts."""
