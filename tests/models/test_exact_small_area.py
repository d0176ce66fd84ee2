"""Exact small-area prediction against its floating-point twin on Battese, Harter and Fuller's counties."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.exact_small_area import Domain, predictions, variance_components
from models.small_area import eblup_unit
from tests.models.test_small_area import corn


def exact_corn():
    y, x, county, means, _ = corn()
    domains = {name: Domain(1, Fraction(str(m[0]))) for name, m in means.items()}
    one = [Fraction(str(row[0])) for row in x]
    return [Fraction(str(v)) for v in y], one, county, domains


def test_variances_predictions_and_errors_of_corn_are_those_of_the_floating_point_twin():
    y, x, county, domains = exact_corn()
    twin = eblup_unit(
        [float(v) for v in y], [float(v) for v in x], county,
        {name: [float(d.x_mean)] for name, d in domains.items()}, method="constants",
    )  # fmt: skip
    components = variance_components(county, x, y)
    assert float(components.within) == pytest.approx(twin.within_variance, rel=1e-10)
    # the ratio is kept to millionths
    assert float(components.within * components.ratio) == pytest.approx(twin.between_variance, rel=2e-6)
    found = predictions(domains, county, x, components)
    for name, area in twin.areas.items():
        p = found[name]
        assert float(p.mean(y)) == pytest.approx(area.eblup, rel=1e-6)
        assert float(p.synthetic(y)) == pytest.approx(area.synthetic, rel=1e-6)
        assert float(p.gamma) == pytest.approx(area.shrinkage, rel=1e-5)
        for own, other in ((p.g1, area.g1), (p.g2, area.g2), (p.g3, area.g3), (p.mse, area.mse)):
            assert float(own * components.within) == pytest.approx(other, rel=1e-5)
        assert float(p.synthetic_mse * components.within) == pytest.approx(area.synthetic_mse, rel=1e-5)


def test_a_domain_without_plots_gets_the_model_alone():
    y, x, county, domains = exact_corn()
    components = variance_components(county, x, y)
    found = predictions({**domains, "new": Domain(1, Fraction(300))}, county, x, components)["new"]
    assert found.mean(y) == found.synthetic(y) and found.gamma == 0
    assert found.mse == found.synthetic_mse > components.ratio


def test_domains_that_do_not_differ_have_variance_zero_and_it_is_said():
    x = [Fraction(v) for v in (1, 4, 6, 9) * 5]
    noise = [Fraction(v) for v in (1, -1, -1, 1) * 5]
    y = [2 + v + e for v, e in zip(x, noise, strict=True)]
    domain = [str(i // 4) for i in range(20)]
    components = variance_components(domain, x, y)
    assert components.between == "zero" and components.ratio == 0
    found = predictions({d: Domain(1, Fraction(5)) for d in set(domain)}, domain, x, components)
    assert {p.mean(y) for p in found.values()} == {Fraction(7)}
    assert all(p.mse > 0 for p in found.values())


@pytest.mark.parametrize("domain", [list("aaaaaa"), list("abcdef")], ids=["one domain", "one plot each"])
def test_what_cannot_be_estimated_is_said_and_the_model_stands_alone(domain):
    x, y = ([Fraction(v) for v in values] for values in ((1, 2, 3, 5, 8, 9), (2, 5, 5, 11, 15, 21)))
    components = variance_components(domain, x, y)
    assert components.between == "not_estimable" and components.ratio == 0 and components.within > 0


def test_a_perfect_fit_within_domains_gives_each_its_own_level():
    x = [Fraction(v) for v in (1, 2, 4, 1, 3, 5)]
    y = [v + (0 if i < 3 else 100) for i, v in enumerate(x)]
    components = variance_components(list("aaabbb"), x, y)
    found = predictions(
        {"a": Domain(1, Fraction(10)), "b": Domain(1, Fraction(10))}, list("aaabbb"), x, components
    )
    assert float(found["a"].mean(y)) == pytest.approx(10, abs=1e-3)
    assert float(found["b"].mean(y)) == pytest.approx(110, abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(-50, 50), st.integers(1, 9), st.permutations(range(36)))
def test_shift_scale_and_order_change_nothing_but_the_unit(shift, scale, order):
    y, x, county, domains = exact_corn()
    plain = variance_components(county, x, y)
    other_y = [scale * y[i] + shift for i in order]
    other = variance_components([county[i] for i in order], [x[i] for i in order], other_y)
    assert other.ratio == plain.ratio and other.within == scale**2 * plain.within
    before = predictions(domains, county, x, plain)
    after = predictions(domains, [county[i] for i in order], [x[i] for i in order], other)
    for name in domains:
        assert after[name].mean(other_y) == scale * before[name].mean(y) + shift
        assert after[name].mse == before[name].mse
