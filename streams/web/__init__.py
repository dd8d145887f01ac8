"""The triage page and its REST API."""
