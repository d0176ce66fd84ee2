"""The model on named metrics is the plain case of the area-based one, and agrees with ordinary least squares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student_t

from models.errors import OutOfRange
from models.field_model import fit_field_model, predict_field


def plots(n: int = 40):
    rng = np.random.default_rng(8)
    h, sd = rng.uniform(8, 25, n), rng.uniform(1, 6, n)
    return 3.0 + 1.8 * h - 0.7 * sd + rng.normal(0, 4, n), {"h": h, "sd": sd}


def test_it_agrees_with_lapack_and_with_leaving_each_plot_out():
    y, x = plots()
    model = fit_field_model("g", y, x)
    design = np.column_stack([np.ones(y.size), *x.values()])
    beta, squares, *_ = np.linalg.lstsq(design, y, rcond=None)
    assert model.model.coefficients == pytest.approx(beta, rel=1e-10)
    assert model.model.residual_sd == pytest.approx(np.sqrt(squares[0] / 37), rel=1e-10)
    errors = []
    for k in range(y.size):
        rest = np.arange(y.size) != k
        errors.append(y[k] - design[k] @ np.linalg.lstsq(design[rest], y[rest], rcond=None)[0])
    assert model.cross_validated_rmse == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-10)
    assert model.r_squared == pytest.approx(1 - squares[0] / ((y - y.mean()) ** 2).sum(), rel=1e-10)


def test_the_interval_is_that_of_the_textbook():
    y, x = plots()
    model = fit_field_model("g", y, x)
    design = np.column_stack([np.ones(y.size), *x.values()])
    at = np.array([1.0, 15.0, 3.0])
    sd = model.model.residual_sd * np.sqrt(1 + at @ np.linalg.inv(design.T @ design) @ at)
    found = predict_field(model, {"h": 15.0, "sd": 3.0}, 0.9)
    assert found.high - found.value == pytest.approx(student_t.ppf(0.95, 37) * sd, rel=1e-9)
    assert found.value - found.low == pytest.approx(found.high - found.value, rel=1e-9)


def test_a_missing_value_is_refused_with_its_row():
    y, x = plots()
    x["h"][4] = np.nan
    with pytest.raises(OutOfRange, match="h, got nan in row 5"):
        fit_field_model("g", y, x)
