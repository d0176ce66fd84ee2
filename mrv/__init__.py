"""The measurement, in the order of the data: survey, intake, canopy, biomass, change, credits, evidence."""

__version__ = "0.1.0"
