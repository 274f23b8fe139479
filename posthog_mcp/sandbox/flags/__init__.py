"""Feature flags of the sandbox: documents, evaluation by the server's rules, endpoints."""
