"""Managed plots (小班・区画) and sample plots (標準地) from polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import shapely
from pyproj import CRS

from mrv.geometry import Grid
from mrv.project import Project
from mrv.quantise import round_fraction
from mrv.readers.crs import AREAL_SCALE_UNIT, NoTransformation, Rings, areal_scale_e8, lon_lat, twice_area_mm2
from mrv.readers.findings import Findings, listed, same
from mrv.readers.text import exact, header_key, plain, read_year
from mrv.readers.vectors import Feature
from mrv.survey import Plot, SamplePlot
from mrv.tables import Tables

# Digitised neighbours never fit to the millimetre: below both of these an overlap is a sliver.
SLIVER_MM2 = 100 * 10**6
SLIVER_PPM = 10_000
# Shapefiles cut names to ten letters, hence register_i and the like.
_ALIASES: dict[str, tuple[str, ...]] = {
    "plot_id": ("plot", "id", "区画", "区画番号", "区画id", "プロット"),
    "register_id": ("register", "register_i", "林小班", "林班小班", "小班", "森林簿番号"),
    "name": ("名称", "名前", "区画名"),
    "species": ("樹種", "主要樹種"),
    "planted_year": ("植栽年", "植栽年度", "planted_ye"),
    "register_area_ha": ("area_ha", "register_a", "森林簿面積", "面積", "面積ha", "面積(ha)"),
    "treatment": ("処理", "施業区分", "群"),
    "sample_plot_id": ("sample_plot", "sample_plo", "標準地", "標準地番号", "標準地id"),
    "tagged": ("標識", "固定", "タグ"),
}
_TRUE = frozenset({"true", "1", "yes", "t", "y", "はい", "有", "あり", "○", "〇"})
_FALSE = frozenset({"false", "0", "no", "f", "n", "いいえ", "無", "なし", "×", ""})


def _value(feature: Feature, column: str) -> str:
    for name in (column, *_ALIASES[column]):
        found = feature.attributes.get(header_key(name), "")
        if found:
            return found
    return ""


def polygon_of(rings: Rings) -> Any:
    """A shapely polygon of rings in millimetres (even-odd), for overlaps only."""
    shape = shapely.make_valid(shapely.Polygon(rings[0]))
    for ring in rings[1:]:
        shape = shape.symmetric_difference(shapely.make_valid(shapely.Polygon(ring)))
    return shape


def _signs(rings: Rings) -> list[int]:
    """Of each ring: times it is counted, 1 for an outer ring or -1 for a hole, by its orientation, so that sums come out right."""
    discs = [polygon_of((ring,)) for ring in rings]
    signs = []
    for i, ring in enumerate(rings):
        around = (d for j, d in enumerate(discs) if j != i and d.area > discs[i].area and d.covers(discs[i]))
        outer = sum(1 for _ in around) % 2 == 0
        signs.append(1 if outer == (twice_area_mm2(ring) > 0) else -1)
    return signs


def plane_area_mm2(rings: Rings) -> int:
    """Plane area of rings under the even-odd rule, mm², half-even."""
    twice = sum(sign * twice_area_mm2(ring) for sign, ring in zip(_signs(rings), rings, strict=True))
    return round_fraction(Fraction(twice, 2))


def _centroid_mm(rings: Rings) -> tuple[int, int]:
    """Centroid of rings under the even-odd rule, whole mm rounded down, in exact integers."""
    twice, moment_x, moment_y = 0, 0, 0
    for sign, ring in zip(_signs(rings), rings, strict=True):
        for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
            cross = sign * (x1 * y2 - x2 * y1)
            twice += cross
            moment_x += cross * (x1 + x2)
            moment_y += cross * (y1 + y2)
    return moment_x // (3 * twice), moment_y // (3 * twice)


def ellipsoid_area_mm2(rings: Rings, crs: CRS) -> int:
    """Horizontal area on the ellipsoid, mm²: the exact plane area over the areal scale at the polygon's centroid.

    Edges are straight on the plane. Equal to the geodesic area (Karney 2013) to a part in fifty million for plots up to a
    few hundred metres and, unlike that, made of one rounded constant and integers.
    """
    return round_fraction(
        Fraction(plane_area_mm2(rings) * AREAL_SCALE_UNIT, areal_scale_e8(crs, *_centroid_mm(rings)))
    )


def read_plots(
    name: str, features: Sequence[Feature], crs: CRS, project: Project, tables: Tables, findings: Findings
) -> tuple[Plot, ...]:
    """Managed plots; faults of single plots are recorded and the plot is left out."""
    plots = []
    for feature in features:
        where = f"{name} plot {_value(feature, 'plot_id') or feature.number}"
        plot = _plot(where, feature, crs, tables, findings)
        if plot is not None:
            plots.append(plot)
    _twice(name, "plots.id_twice", [p.plot_id for p in plots], "plot_id", findings)
    _twice(name, "plots.register_id_twice", [p.register_id for p in plots], "register_id", findings)
    _outside_zone(name, plots, crs, findings)
    for one, other, area_mm2 in overlaps([(p.plot_id, p.rings_mm) for p in plots]):
        _overlap(name, one, other, area_mm2, findings)
    return tuple(plots)


def _plot(where: str, feature: Feature, crs: CRS, tables: Tables, findings: Findings) -> Plot | None:
    plot_id, register_id = _value(feature, "plot_id"), _value(feature, "register_id")
    missing = [n for n, v in (("plot_id", plot_id), ("register_id", register_id)) if not v]
    if missing:
        seen = ", ".join(feature.attributes) or "-"
        _attribute(
            where, "plots.attribute_missing", ", ".join(missing), ("only " + seen, f"{seen} のみ"), findings
        )
        return None
    species_text = _value(feature, "species")
    species = tables.species_key(species_text) if species_text else ""
    if species is None:
        _unknown_species(where, species_text, findings)
    year_text = _value(feature, "planted_year")
    year = read_year(year_text) if year_text not in ("", "0") else None
    if year_text not in ("", "0") and year is None:
        _attribute(
            where, "plots.planted_year", "planted_year (1985, 昭和60年)", same(repr(year_text)), findings
        )
    area_text = _value(feature, "register_area_ha")
    area_ha = exact(area_text) if area_text else None
    if area_text and (area_ha is None or area_ha <= 0):
        _attribute(where, "plots.register_area", "register_area_ha > 0", same(repr(area_text)), findings)
        area_text = ""
    try:
        area_mm2 = ellipsoid_area_mm2(feature.rings, crs)
    except NoTransformation as error:
        _out_of_zone(where, crs, (str(error), str(error)), findings)
        return None
    if area_ha and not 0.5 <= float(area_ha) * 1e10 / area_mm2 <= 2:
        findings.warn(
            "plots.area_differs",
            where,
            expected=(f"the register's {area_text} ha", f"森林簿の面積 {area_text} ha"),
            got=same(f"{area_mm2 / 1e10:.4f} ha"),
            todo=(
                "Check the boundary; the polygon's area is used.",
                "境界を確認してください（図形の面積を使います）。",
            ),
        )
    return Plot(
        plot_id=plot_id,
        register_id=register_id,
        name=_value(feature, "name"),
        rings_mm=feature.rings,
        area_mm2=area_mm2,
        register_area_ha=area_text,
        species=species or "",
        planted_year=year,
        treatment=_value(feature, "treatment") or "growing",
    )


def whole_raster_plot(
    table: Mapping[str, Any], grid: Grid, crs: CRS, tables: Tables, findings: Findings
) -> Plot:
    """One plot "all" that is the raster's extent, where the manifest asks for it."""
    left, top = round(grid.left_um / 1000), round(grid.top_um / 1000)
    right = round((grid.left_um + grid.cols * grid.pixel_um) / 1000)
    bottom = round((grid.top_um - grid.rows * grid.pixel_um) / 1000)
    rings: Rings = (((left, bottom), (right, bottom), (right, top), (left, top)),)
    text = plain(table.get("species"))
    species = tables.species_key(text) if text else ""
    if species is None:
        _unknown_species("survey.toml plots.species", text, findings)
    year = table.get("planted_year")
    return Plot(
        plot_id="all",
        register_id=plain(table.get("register_id")) or "whole-raster",
        name=plain(table.get("name")),
        rings_mm=rings,
        area_mm2=ellipsoid_area_mm2(rings, crs),
        register_area_ha="",
        species=species or "",
        planted_year=year if isinstance(year, int) else None,
        treatment=plain(table.get("treatment")) or "growing",
    )


def read_sample_plots(
    name: str, features: Sequence[Feature], plots: Sequence[Plot] | None, findings: Findings
) -> tuple[SamplePlot, ...]:
    """Sample plots, each inside the managed plot it names; `plots` is None where those could not be read."""
    homes = {p.plot_id: p for p in plots or ()}
    found = []
    for feature in features:
        sample_id, plot_id = _value(feature, "sample_plot_id"), _value(feature, "plot_id")
        where = f"{name} sample plot {sample_id or feature.number}"
        missing = [n for n, v in (("sample_plot_id", sample_id), ("plot_id", plot_id)) if not v]
        if missing:
            seen = ", ".join(feature.attributes) or "-"
            _attribute(
                where,
                "sample_plots.attribute_missing",
                ", ".join(missing),
                ("only " + seen, f"{seen} のみ"),
                findings,
            )
            continue
        tagged = _value(feature, "tagged").casefold()
        if tagged not in _TRUE | _FALSE:
            _attribute(where, "sample_plots.tagged", "tagged: true / false", same(repr(tagged)), findings)
        if plots is not None and plot_id not in homes:
            _unknown_plot(where, plot_id, homes, findings)
        elif plots is not None:
            _inside(where, feature.rings, homes[plot_id], findings)
        area = plane_area_mm2(feature.rings)
        found.append(SamplePlot(sample_id, plot_id, feature.rings, area, tagged in _TRUE))
    _twice(name, "sample_plots.id_twice", [s.sample_plot_id for s in found], "sample_plot_id", findings)
    for one, other, area_mm2 in overlaps([(s.sample_plot_id, s.rings_mm) for s in found]):
        _overlap(name, one, other, area_mm2, findings, "sample_plots.overlap")
    untagged = [s.sample_plot_id for s in found if not s.tagged]
    if untagged:
        names = listed(untagged)
        findings.warn(
            "sample_plots.untagged",
            name,
            expected=("permanent, tagged sample plots", "固定された標識付きの標準地"),
            got=(f"untagged: {names[0]}", f"標識なし: {names[1]}"),
            todo=(
                "Tag corners and trees: without, no change can be claimed from them.",
                "四隅と立木に標識を付けてください。なければ変化量を請求できません。",
            ),
        )
    return tuple(found)


def overlaps(rings_of: Sequence[tuple[str, Rings]]) -> list[tuple[str, str, int]]:
    """Pairs of polygons that overlap by more than a sliver, with the area in mm²."""
    shapes = [polygon_of(rings) for _, rings in rings_of]
    tree = shapely.STRtree(shapes)
    found = []
    for i, shape in enumerate(shapes):
        for j in sorted(int(k) for k in tree.query(shape, predicate="intersects")):
            if j > i and (area := shared_mm2(shape, shapes[j])):
                found.append((rings_of[i][0], rings_of[j][0], area))
    return found


def shared_mm2(one: Any, other: Any) -> int:
    """Area two polygons share, mm²; 0 where it is a sliver: at most 1 % of the smaller, and at most 100 m²."""
    area = float(one.intersection(other).area)
    sliver = area <= SLIVER_MM2 and area * 1e6 <= SLIVER_PPM * min(one.area, other.area)
    return 0 if sliver else round(area)


def _inside(where: str, rings: Rings, plot: Plot, findings: Findings) -> None:
    sample = polygon_of(rings)
    share = polygon_of(plot.rings_mm).intersection(sample).area / sample.area
    if share < 0.99:
        findings.add(
            "sample_plots.outside",
            where,
            expected=(f"inside plot {plot.plot_id}", f"区画 {plot.plot_id} の内側"),
            got=(f"only {share:.0%} inside", f"内側は{share:.0%}のみ"),
            todo=(
                "Check position, plot_id and coordinate system.",
                "位置・plot_id・座標系を確認してください。",
            ),
        )


def _outside_zone(name: str, plots: Sequence[Plot], crs: CRS, findings: Findings) -> None:
    """Coordinates far from where a system is used are mostly swapped axes (X is north in Japan)."""
    use = crs.area_of_use
    if use is None or not plots:
        return
    for plot in plots:
        lon, lat = lon_lat(crs, *plot.rings_mm[0][0])
        if not (use.west - 1 <= lon <= use.east + 1 and use.south - 1 <= lat <= use.north + 1):
            got = (f"lon {lon:.3f}, lat {lat:.3f}", f"経度{lon:.3f} 緯度{lat:.3f}")
            _out_of_zone(f"{name} plot {plot.plot_id}", crs, got, findings)
            return


def _out_of_zone(where: str, crs: CRS, got: tuple[str, str], findings: Findings) -> None:
    findings.add(
        "plots.outside_crs",
        where,
        expected=(f"a place where {crs.name} is used", f"{crs.name} の適用範囲"),
        got=got,
        todo=(
            "Check the zone and the axis order (east first; X is north in Japan).",
            "系番号と軸の順（東・北の順）を確認してください。",
        ),
    )


def _twice(name: str, code: str, ids: Sequence[str], column: str, findings: Findings) -> None:
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        names = listed(twice)
        findings.add(
            code,
            name,
            expected=(f"each {column} once", f"{column} の重複なし"),
            got=(f"twice: {names[0]}", f"重複: {names[1]}"),
            todo=("Give each polygon its own id.", "区画ごとに別の番号を付けてください。"),
        )


def _overlap(
    name: str, one: str, other: str, area_mm2: int, findings: Findings, code: str = "plots.overlap"
) -> None:
    findings.add(
        code,
        name,
        expected=("polygons that do not overlap", "重ならない区画"),
        got=(
            f"{one} and {other} share {area_mm2 / 1e6:.1f} m²",
            f"{one} と {other} が {area_mm2 / 1e6:.1f} m² 重なる状態",
        ),
        todo=("Mend the boundary: no ground is counted twice.", "境界を直してください（二重計上防止）。"),
    )


def _attribute(where: str, code: str, wanted: str, got: tuple[str, str], findings: Findings) -> None:
    findings.add(
        code,
        where,
        expected=(wanted, wanted),
        got=got,
        todo=("Fill in the attribute table.", "属性表に記入してください。"),
    )


def _unknown_plot(where: str, plot_id: str, homes: Mapping[str, Plot], findings: Findings) -> None:
    names = listed(homes)
    findings.add(
        "sample_plots.unknown_plot",
        where,
        expected=(f"one of the plots {names[0]}", f"区画 {names[1]} のいずれか"),
        got=same(repr(plot_id)),
        todo=("Correct plot_id.", "plot_id を直してください。"),
    )


def _unknown_species(where: str, text: str, findings: Findings) -> None:
    findings.add(
        "species.unknown",
        where,
        expected=("a listed species (スギ, hinoki, コナラ …)", "一覧にある樹種（スギ・ヒノキ・コナラなど）"),
        got=same(repr(text)),
        todo=(
            "Use a name of data/species_names.csv or add one with its source.",
            "data/species_names.csv の名称を使うか、出典を添えて追加してください。",
        ),
    )
