"""Telling people of alerts: routes, schedules, texts, channels and the outbox between them."""
