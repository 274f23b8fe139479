"""The private API: one file per area of PostHog."""
