"""Two ledgers that never mix: the physical stock change, and what J-Credit rules would book of it.

Only the physical ledger is ever claimed here. The J-Credit figure is informative: an application needs the yield table of the
treated stand, a forest management plan, and eligibility evidence, none of which a survey holds.
"""

from __future__ import annotations

from collections.abc import Mapping

# What a J-Credit FO-001 application must bring besides a measurement (reference: J-Credit FO-001; deficit rule of 2022).
JCREDIT_ELIGIBILITY = (
    "forest_management_plan",
    "treatment_record_since_1990",
    "additionality_evidence",
    "felling_filings",
    "yield_table",
    "permanence_reporting_commitment",
)


def jcredit_ledger(components_g: Mapping[str, int]) -> dict[str, int]:
    """What J-Credit FO-001 would book of a measured change, g CO2e.

    Thinning (間伐) and natural death book no emission: only growth of the treated stand counts. A main cut (主伐) is booked
    whole. Growth is the measured increment of standing trees here, where the rule takes it from a yield table.

    Source: J-Credit FO-001 (structure recalled, not verified): ``AS = AS_PJ - EM_PJ - AS_BL``, AS_BL = 0 by rule.
    """
    absorption = sum(components_g.get(kind, 0) for kind in ("growth", "recruited", "replanted"))
    main_cut = -components_g.get("cut", 0)
    return {
        "absorption_g": absorption,
        "main_cut_emission_g": main_cut,
        "thinning_not_booked_g": -components_g.get("thinned", 0),
        "net_g": absorption - main_cut,
    }
