"""Science of a stand: arrays in, arrays out."""
