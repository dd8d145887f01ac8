"""Who may see and do what: accounts, roles, passwords, tokens. No SQL."""
