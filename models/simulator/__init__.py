"""A simulated forest: trees, growth, treatments, and what crews and sensors would see of it (模擬林分).

For the demonstration, coverage and scale only. Nothing that is recomputed reads it, and everything made with it says that it is
simulated. Growth follows the density diagrams and the recalled height curves of ``data/``; its figures are plausible for
Owase, not measured there.
"""

from __future__ import annotations

from models.simulator.canopy import Crowns, Frame, Sensor, sense, surface
from models.simulator.crew import Crew, Readings, draw_cells, measure
from models.simulator.draws import Draws
from models.simulator.satellite import Cover, SatelliteSensor, Scene, canopy_cover, see
from models.simulator.site import Site, Surroundings, View, crowns_at, look, simulate_trees, surroundings
from models.simulator.stand import ALIVE, CUT, DEAD, THINNED, Stand, Treatment, Trees
from models.simulator.truth import COMPONENTS, PlotTruth, Science, plot_truth, true_co2_g

__all__ = [
    "ALIVE",
    "COMPONENTS",
    "CUT",
    "DEAD",
    "THINNED",
    "Cover",
    "Crew",
    "Crowns",
    "Draws",
    "Frame",
    "PlotTruth",
    "Readings",
    "SatelliteSensor",
    "Scene",
    "Science",
    "Sensor",
    "Site",
    "Stand",
    "Surroundings",
    "Treatment",
    "Trees",
    "View",
    "canopy_cover",
    "crowns_at",
    "draw_cells",
    "look",
    "measure",
    "plot_truth",
    "see",
    "sense",
    "simulate_trees",
    "surface",
    "surroundings",
    "true_co2_g",
]
