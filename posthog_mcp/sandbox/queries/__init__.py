"""Running queries: what each kind means, how many run at once, and what becomes of those that take long."""
