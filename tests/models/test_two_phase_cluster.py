"""Two phases with points in clusters."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import OutOfRange
from models.two_phase import two_phase, two_phase_exhaustive
from models.two_phase_cluster import two_phase_clusters


def tracts(seed=1, n1=300, n2=73):
    """Clusters of one to five points that are alike within."""
    rng = np.random.default_rng(seed)
    many = rng.integers(1, 6, n1)
    cluster = np.repeat(np.arange(n1), many)
    z = np.repeat(rng.uniform(5, 25, n1), many) + rng.normal(0, 3, cluster.size)
    y = 20 + 12 * z + np.repeat(rng.normal(0, 25, n1), many) + rng.normal(0, 20, cluster.size)
    field = cluster < n2
    return y[field], z[field], cluster[field], z, cluster


def test_clusters_of_one_point_are_points():
    y, z, _, first, _ = tracts()
    z, y, first = z[:50], y[:50], first[:200]
    found = two_phase_clusters(y, z, range(50), z_first=first, cluster_first=range(200))
    plain = two_phase(y, z, first[:, None])
    assert (found.value, found.g_weight_variance, found.external_variance) == pytest.approx(
        (plain.value, plain.g_weight_variance, plain.external_variance)
    )
    known = two_phase_clusters(y, z, range(50), z_mean=[15.0])
    assert known.g_weight_variance == pytest.approx(two_phase_exhaustive(y, z, [15.0]).g_weight_variance)


def test_the_formulas_are_those_of_the_r_package_forestinventory():
    """Its global, non-exhaustive cluster case, in plain matrices (equations 64 to 67 of Mandallaz's report)."""
    y, z, cluster, first, cluster_first = tracts()
    found = two_phase_clusters(y, z, cluster, z_first=first, cluster_first=cluster_first)

    def cluster_means(values, names):
        return np.array([values[names == c].mean() for c in np.unique(names)])

    m2, m1 = (np.bincount(c)[np.unique(c)].astype(float) for c in (cluster, cluster_first))
    y2 = cluster_means(y, cluster)
    z2 = np.column_stack([np.ones(m2.size), cluster_means(z, cluster)])
    z1 = np.column_stack([np.ones(m1.size), cluster_means(first, cluster_first)])
    n1, n2 = m1.size, m2.size
    inverse = np.linalg.inv(z2.T @ (m2[:, None] * z2) / n2)
    beta = inverse @ z2.T @ (m2 * y2) / n2
    residual = y2 - z2 @ beta
    loaded = z2 * (m2 * residual)[:, None]
    covariance = inverse @ (loaded.T @ loaded / n2**2) @ inverse
    at = np.average(z1, axis=0, weights=m1)
    centred = (z1 - at) * (m1 / m1.mean())[:, None]
    z_covariance = centred.T @ centred / (n1 * (n1 - 1))
    assert found.value == pytest.approx(at @ beta, rel=1e-10)
    assert found.g_weight_variance == pytest.approx(
        at @ covariance @ at + beta @ z_covariance @ beta, rel=1e-9
    )
    w2 = m2 / m2.mean()
    inner = (w2**2 * (residual - np.average(residual, weights=m2)) ** 2).sum() / (n2 * (n2 - 1))
    assert found.external_variance == pytest.approx(inner + beta @ z_covariance @ beta, rel=1e-9)
    assert (found.n1, found.n2) == (300, 73)


def test_the_variance_meets_the_spread_of_repeated_samples_where_points_alone_would_not():
    rng = np.random.default_rng(4)
    many = rng.integers(1, 6, 8000)
    cluster = np.repeat(np.arange(8000), many)
    z = np.repeat(rng.uniform(5, 25, 8000), many) + rng.normal(0, 3, cluster.size)
    y = 20 + 12 * z + np.repeat(rng.normal(0, 40, 8000), many) + rng.normal(0, 20, cluster.size)
    start = np.concatenate([[0], np.cumsum(many)])
    found, points = [], []
    for _ in range(400):
        drawn = rng.choice(8000, 160, replace=False)
        rows = np.concatenate([np.arange(start[c], start[c + 1]) for c in drawn])
        field = np.isin(cluster[rows], drawn[:50])
        arguments = y[rows][field], z[rows][field]
        found.append(
            two_phase_clusters(*arguments, cluster[rows][field], z_first=z[rows], cluster_first=cluster[rows])
        )
        points.append(two_phase(*arguments, z[rows][:, None]))
    spread = np.var([f.value for f in found])
    assert np.mean([f.g_weight_variance for f in found]) == pytest.approx(spread, rel=0.15)
    assert np.mean([f.external_variance for f in found]) == pytest.approx(spread, rel=0.15)
    assert np.mean([f.value for f in found]) == pytest.approx(y.mean(), abs=4 * np.sqrt(spread / 400))
    assert np.mean([p.g_weight_variance for p in points]) < 0.7 * np.var([p.value for p in points])


def test_what_does_not_fit_is_refused():
    y, z, cluster, first, cluster_first = tracts()
    gap = np.array(y)
    gap[3] = np.nan
    for call, words in [
        (lambda: two_phase_clusters(gap, z, cluster, z_mean=[15.0]), "row 4"),
        (lambda: two_phase_clusters(y, z, [None, *cluster[1:]], z_mean=[15.0]), "row 1"),
        (lambda: two_phase_clusters(y, z, cluster), "both or neither"),
        (lambda: two_phase_clusters(y, z, cluster, z_first=first), "both or neither"),
        (
            lambda: two_phase_clusters(y, z, cluster, z_first=first[:5], cluster_first=cluster_first[:5]),
            "first-phase clusters",
        ),
        (lambda: two_phase_clusters(y, z, ["one"] * len(y), z_mean=[15.0]), "1 sample plots"),
        (
            lambda: two_phase_clusters(
                y, z, cluster, z_first=np.column_stack([first, first]), cluster_first=cluster_first
            ),
            "1 covariates",
        ),
    ]:
        with pytest.raises(OutOfRange, match=words):
            call()
