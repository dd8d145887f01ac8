"""What travels: events, counts, alerts, regions and the configuration, as pydantic models."""
