"""A survey as values: plots, sample plots, trees, actions and the files they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.choose import Design
from mrv.blob import Blob

VerticalDatum = Literal["ellipsoidal", "tokyo_peil", "height_above_ground", "other"]
ActionKind = Literal["thin", "cut", "replant", "other"]
TreeStatus = Literal["alive", "dead", "cut", "missing"]


@dataclass(frozen=True)
class Plot:
    """The polygon a co-op manages and is credited for (小班, 区画).

    Attributes
    ----------
    plot_id : str
        Number within the project.
    register_id : str
        The forest register's own key, municipality / compartment / sub-compartment (林班・小班); the preimage of the
        plot key on chain (ADR 0002), so that redrawing a boundary mints no new key.
    rings_mm : tuple of rings
        Polygon rings (outer and holes, even-odd), each a tuple of (x, y) whole millimetres in the survey's CRS.
    area_mm2 : int
        Geodesic horizontal area, mm².
    register_area_ha : str
        Area written in the forest register, as written (decimal text); "" where unknown.
    species : str
        Main species key (``sugi``).
    planted_year : int or None
    treatment : str
        Group of plots whose residual variance is pooled, as planned (``growing``, ``treated``).
    """

    plot_id: str
    register_id: str
    name: str
    rings_mm: tuple[tuple[tuple[int, int], ...], ...]
    area_mm2: int
    register_area_ha: str
    species: str
    planted_year: int | None
    treatment: str


@dataclass(frozen=True)
class SamplePlot:
    """Where trees are measured (標準地), permanently marked.

    Attributes
    ----------
    area_mm2 : int
        Horizontal area on which trees were counted, mm² (the polygon's plane area).
    tagged : bool
        Whether the corners and every tree carry tags; a change may be claimed from tagged pairs only.
    """

    sample_plot_id: str
    plot_id: str
    rings_mm: tuple[tuple[tuple[int, int], ...], ...]
    area_mm2: int
    tagged: bool


@dataclass(frozen=True)
class TreeList:
    """Trees of all sample plots at one date, one entry a tree, in file order.

    Attributes
    ----------
    sample_plot_id, tag, species, status : ndarray of str, shape (n,)
    dbh_mm, height_mm : ndarray of int32, shape (n,)
        Diameter at breast height and total height, whole millimetres; 0 where the tree no longer stands, and for the height of a
        standing tree where it was not measured (`mrv.height_curves` fills it).
    planted_year : ndarray of int32, shape (n,)
        Year of planting or of the shoot's birth; the plot's own year where the list is silent; 0 unknown.
    """

    sample_plot_id: NDArray[np.str_]
    tag: NDArray[np.str_]
    species: NDArray[np.str_]
    status: NDArray[np.str_]
    dbh_mm: NDArray[np.int32]
    height_mm: NDArray[np.int32]
    planted_year: NDArray[np.int32]

    def __len__(self) -> int:
        return int(self.tag.size)


@dataclass(frozen=True)
class Action:
    """One entry of the action register: what was done in a plot and when (施業履歴)."""

    plot_id: str
    day: date
    kind: ActionKind
    area_ha: str
    note: str


@dataclass(frozen=True)
class Survey:
    """One accepted survey: everything that was handed in for one date.

    Attributes
    ----------
    epsg : int
        Plane coordinate system of every geometry and raster here, axes read as east, north.
    chm : Blob or None
        Canopy height raster as handed in (or DSM and DTM, or points; exactly one way).
    canopy_unit : {"m"}
    manifest : mapping
        The manifest as read, for the record.
    files : mapping of str to Blob
        Every file of the survey by its name in the upload.
    simulated : bool
        True for made-up data; shown wherever the survey is shown.
    """

    survey_id: str
    project_id: str
    day: date
    epsg: int
    vertical_datum: VerticalDatum
    plots: tuple[Plot, ...]
    sample_plots: tuple[SamplePlot, ...]
    trees: TreeList | None
    actions: tuple[Action, ...]
    design: Design
    chm: Blob | None
    dsm: Blob | None
    dtm: Blob | None
    points: Blob | None
    ortho: Blob | None
    simulated: bool
    manifest: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Blob] = field(default_factory=dict)

    @property
    def digest_inputs(self) -> dict[str, str]:
        """Digest of every file by name, sorted."""
        return {name: self.files[name].digest for name in sorted(self.files)}
