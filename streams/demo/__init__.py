"""The demo: the influenza pandemic of 2009 in Taiwan, replayed through the real system."""
