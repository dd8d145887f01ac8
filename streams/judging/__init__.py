"""Judging series that changed, and opening and updating alerts."""
