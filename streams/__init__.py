"""What moves: Kafka in, exactly-once store, judging, alerts, commands."""
