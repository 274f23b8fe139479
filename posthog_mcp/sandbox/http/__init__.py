"""HTTP as PostHog speaks it: keys, scopes, error bodies, pages, throttles, and faults on request."""
