"""Why an alert is one: growth, completeness, where it comes from, what neighbours show."""

from streams.alerts.explaining.explain import explain, roll_up, roll_up_some

__all__ = ["explain", "roll_up", "roll_up_some"]
