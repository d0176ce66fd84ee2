"""Crediting rules: deduction policies and the two ledgers."""
