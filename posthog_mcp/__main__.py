"""The program. The garbage collector rests while modules are imported: that saves a tenth of the start."""

import gc

gc.disable()


def main() -> int:
    """Run the command that the arguments name; returns the exit code."""
    from posthog_mcp.cli.main import run  # noqa: PLC0415 - imports belong after the collector is off

    return run()


if __name__ == "__main__":
    raise SystemExit(main())
