"""The demonstration: a simulated site near Owase, its survey files, and the main job run on them."""
