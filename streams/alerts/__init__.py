"""What becomes of an alert: its lifecycle, from the first exceedance to an officer's decision."""
