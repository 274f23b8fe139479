"""Surveys: made and changed with the flags that target them, shown to SDKs, and their answers read."""
