"""Web analytics: what visitors of sites and apps did, by session."""
