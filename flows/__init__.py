"""Prefect flows, the store (catalogue and objects), settings and deployments."""
