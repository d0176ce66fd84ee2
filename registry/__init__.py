"""The chain: contracts, port, issuance, verification, treasury."""
