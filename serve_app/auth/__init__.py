"""Who may do what: credentials, permissions, tenants."""
