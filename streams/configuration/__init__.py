"""The configuration file: its YAML, what is wrong or doubtful in it, in plain words."""
