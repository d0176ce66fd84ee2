"""Coordinate systems: named, plane, in metres; joined only by a transformation that is more than a guess."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Proj, Transformer
from pyproj.exceptions import CRSError, ProjError
from pyproj.network import set_network_enabled  # type: ignore[attr-defined]  # exported at run time only
from pyproj.transformer import TransformerGroup

from mrv.readers.findings import Findings, same
from mrv.readers.hostile import Unreadable, hostile

Ring = tuple[tuple[int, int], ...]
Rings = tuple[Ring, ...]


class NoTransformation(ValueError):
    """No transformation better than a ballpark joins two coordinate systems on this machine."""


@dataclass(frozen=True)
class Joined:
    """A transformation between two systems, and how PROJ calls it."""

    transformer: Transformer
    description: str


def parse_crs(text: str) -> CRS | None:
    """A coordinate system from ``EPSG:6674``, an OGC URN or WKT; None where it is none."""
    crs = _parsed(text)
    if crs is None or not (horizontal(crs).is_projected or horizontal(crs).is_geographic):
        return None
    return crs


def _parsed(text: str) -> CRS | None:
    match = re.search(r"EPSG:+(?:[\d.]*:)?(\d{4,6})$", text.strip(), re.IGNORECASE)
    try:
        if match:
            return CRS.from_epsg(int(match[1]))
        if "CRS84" in text.upper():
            return CRS.from_user_input("OGC:CRS84")
        return CRS.from_wkt(text) if "[" in text else None
    except CRSError:
        return None


def horizontal(crs: CRS) -> CRS:
    """The horizontal part of a compound or three-dimensional system."""
    if crs.is_compound:
        return CRS(crs.sub_crs_list[0])
    return crs.to_2d()


def vertical_datum_of(crs: CRS) -> str | None:
    """Vertical datum that a file's own system names: ``tokyo_peil``, ``ellipsoidal``, ``other``; None where it names none."""
    if crs.is_compound:
        vertical = next((c for c in crs.sub_crs_list if c.is_vertical), None)
        if vertical is None:
            return None
        names_tokyo = "JGD" in vertical.name or "JSLD" in vertical.name
        return "tokyo_peil" if names_tokyo else "other"
    return "ellipsoidal" if crs.is_geographic and len(crs.axis_info) == 3 else None


def same_plane(one: CRS, other: CRS) -> bool:
    """Whether two systems have the same horizontal meaning, axis order apart (files hold east, north)."""
    a, b = horizontal(one), horizontal(other)
    if a.equals(b, ignore_axis_order=True):
        return True
    code = b.to_epsg(min_confidence=70)
    return code is not None and code == a.to_epsg(min_confidence=70)


def plane_problem(crs: CRS, where: str, findings: Findings) -> bool:
    """Record it where a survey's system is not a plane one in metres; True if so."""
    if crs.is_projected and all(a.unit_name == "metre" for a in horizontal(crs).axis_info):
        return False
    findings.add(
        "crs.not_plane",
        where,
        expected=("a plane coordinate system in metres", "メートル単位の平面座標系"),
        got=same(crs.name),
        todo=(
            "Name one, e.g. EPSG:6674 (JGD2011 plane rectangular VI).",
            "例: EPSG:6674（平面直角座標系第VI系・JGD2011）のように指定してください。",
        ),
    )
    return True


@lru_cache(maxsize=64)
def join(source_wkt: str, target_wkt: str) -> Joined:
    """Best transformation between two systems, x east and y north, never a ballpark one, never from the network.

    Raises
    ------
    NoTransformation
        If only a ballpark transformation is at hand (for example the Tokyo datum without its grid).
    """
    set_network_enabled(active=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "best transformation not available": answered below
        try:
            with hostile():  # systems come from files
                group = TransformerGroup(source_wkt, target_wkt, always_xy=True, allow_ballpark=False)
        except Unreadable as error:
            raise NoTransformation(str(error)) from error
        if not group.transformers:
            missing = "; ".join(o.name for o in group.unavailable_operations[:2])
            raise NoTransformation(missing or "no operation known")
        transformer = group.transformers[0]
    return Joined(transformer, transformer.description)


def to_plane_mm(rings: Sequence[NDArray[np.float64]], source: CRS, target: CRS) -> tuple[Rings, str]:
    """Rings in whole millimetres of the target system, and the name of the operation ("" where none was needed).

    Raises
    ------
    NoTransformation
    """
    if same_plane(source, target):
        return tuple(quantised(ring) for ring in rings), ""
    joined = join(horizontal(source).to_wkt(), horizontal(target).to_wkt())
    moved = []
    for ring in rings:
        try:
            x, y = joined.transformer.transform(ring[:, 0], ring[:, 1], errcheck=True)
        except ProjError as error:
            raise NoTransformation(str(error)) from error
        moved.append(np.column_stack([x, y]))
    return tuple(quantised(ring) for ring in moved), joined.description


def quantised(ring: NDArray[np.float64]) -> Ring:
    """A ring in whole millimetres, half to even, without repeated neighbours and without the closing vertex."""
    if not np.isfinite(ring).all():
        raise NoTransformation("coordinates out of the transformation's range")
    whole = np.rint(np.asarray(ring, dtype=np.float64)[:, :2] * 1000.0).astype(np.int64)
    points = [(int(x), int(y)) for x, y in whole]
    kept = [p for i, p in enumerate(points) if i == 0 or p != points[i - 1]]
    while len(kept) > 1 and kept[0] == kept[-1]:
        kept.pop()
    return tuple(kept)


def twice_area_mm2(ring: Ring) -> int:
    """Twice the signed plane area of a ring, exact."""
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True))


AREAL_SCALE_UNIT = 10**8


def areal_scale_e8(crs: CRS, x_mm: int, y_mm: int) -> int:
    """Plane area over area on the ellipsoid at a point, in units of 1e-8 (half to even).

    Eight digits are far below any survey's accuracy, and far above what differs between versions of PROJ, which finds
    the factor by finite differences good to about 1e-10.

    Raises
    ------
    NoTransformation
        Where the point lies outside the projection.
    """
    lon, lat = lon_lat(crs, x_mm, y_mm)
    scale = (
        Proj(horizontal(crs)).get_factors(lon, lat).areal_scale if np.isfinite([lon, lat]).all() else np.inf
    )
    if not np.isfinite(scale) or scale <= 0:
        raise NoTransformation(f"({x_mm / 1000}, {y_mm / 1000}) m lies outside {crs.name}")
    return round(scale * AREAL_SCALE_UNIT)


def lon_lat(crs: CRS, x_mm: int, y_mm: int) -> tuple[float, float]:
    """Longitude and latitude, degrees, of a point of a plane system on its own datum."""
    plane = horizontal(crs)
    lon, lat = Proj(plane)(x_mm / 1000.0, y_mm / 1000.0, inverse=True)
    return float(lon), float(lat)
