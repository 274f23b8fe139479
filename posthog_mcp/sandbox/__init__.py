"""The embedded PostHog: an application that speaks PostHog's HTTP API over a ClickHouse engine in process."""
