"""A project as its co-op writes it down: ``project.toml`` with the project, how change is measured, and who is paid."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Self

from models.errors import SatoyamaError
from mrv.estimate_checks import with_design
from mrv.methodology.deduction import POLICIES
from mrv.project import CanopyModel, DeclaredErrors, MonitoringPlan, Project
from mrv.survey import Survey
from registry.address import AddressRefused, checked_address
from registry.shares import BASES, Basis

BANK_ROLE = "bank_payouts"
SHARES = 1_000_000
MAX_CHALLENGE_WINDOW_S = 365 * 86_400  # the registry's own bound
MAX_SHARE_DELAY_DAYS = 180  # the split contract's own bound
# What a key may be called (`registry.accounts`), and "-" for people.
_PAYEE_ID = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_PLAN_DEFAULTS: dict[str, Any] = {
    "first_survey_id": "",
    "deduction_policy": "probability_of_exceedance",
    "confidence_ppm": 666_667,
    "interval_ppm": 900_000,
    "cell_mm": 20_000,
}
_NO_DECLARED = {"shared_factor_cv_ppm": {}, "field_height_bias_um": 0, "field_dbh_bias_um": 0}


class DefinitionError(SatoyamaError):
    """A project definition is not what it should be."""


@dataclass(frozen=True)
class Payee:
    """Who gets a share of the revenue.

    Attributes
    ----------
    payee_id : str
        Also the name of the payee's key in the keystore, ``-`` written as ``_``.
    share_ppm : int
        Parts per million of revenue; all payees' shares sum to 1,000,000.
    address : str
        Account on chain (a Safe, a wallet); "" where the workspace's keystore holds the key.
    plots : tuple of str
        Ids of the plots the payee owns; empty for a fund.
    pay_by : {"chain", "bank"}
        By bank: the share goes to an account on chain that all such payees have together, and the treasurer pays them
        out of it by bank transfer.
    """

    payee_id: str
    name_en: str
    name_ja: str
    share_ppm: int
    address: str = ""
    plots: tuple[str, ...] = ()
    pay_by: str = "chain"

    @property
    def by_bank(self) -> bool:
        return self.pay_by == "bank"

    @property
    def role(self) -> str:
        return BANK_ROLE if self.by_bank else self.payee_id.replace("-", "_")

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        """Inverse of ``asdict``; lists become tuples."""
        return cls(**{**doc, "plots": tuple(doc.get("plots", ()))})


@dataclass(frozen=True)
class ProjectDefinition:
    """Everything that is fixed before the second date is read.

    Attributes
    ----------
    plan : mapping
        ``first_survey_id``, ``deduction_policy``, ``confidence_ppm``, ``interval_ppm``, ``cell_mm``.
    challenge_window_s : int
        Seconds a batch stays locked after issue.
    canopy_model : CanopyModel or None
        For projects whose surveys have no sample plots: flagged wherever used, never creditable.
    sharing : {"fixed", "net_change", "growth"}
        How revenue is shared: by the payees' fixed table, or the owners' pool by what was measured on each plot.
    share_delay_s : int
        Seconds for which a change of shares is announced on chain before it takes effect.
    """

    project: Project
    plan: Mapping[str, Any]
    declared: DeclaredErrors
    payees: tuple[Payee, ...]
    challenge_window_s: int = 0
    canopy_model: CanopyModel | None = None
    sharing: Basis = "fixed"
    share_delay_s: int = 0

    def settings_doc(self) -> dict[str, Any]:
        """All but the project itself, as a plain document."""
        declared = asdict(self.declared)
        declared["shared_factor_cv_ppm"] = dict(self.declared.shared_factor_cv_ppm)
        return {
            "plan": dict(self.plan),
            "declared": declared,
            "payees": [asdict(p) for p in self.payees],
            "challenge_window_s": self.challenge_window_s,
            "canopy_model": None if self.canopy_model is None else asdict(self.canopy_model),
            "sharing": self.sharing,
            "share_delay_s": self.share_delay_s,
        }

    @classmethod
    def from_docs(cls, project: Mapping[str, Any], settings: Mapping[str, Any]) -> Self:
        """Inverse of ``project.to_doc`` and `settings_doc`."""
        return cls(
            Project.from_doc(project),
            dict(settings["plan"]),
            DeclaredErrors(**settings["declared"]),
            tuple(Payee.from_doc(p) for p in settings["payees"]),
            settings["challenge_window_s"],
            None if settings["canopy_model"] is None else CanopyModel(**settings["canopy_model"]),
            settings.get("sharing", "fixed"),
            settings.get("share_delay_s", 0),
        )

    def monitoring_plan(self, first: Survey) -> MonitoringPlan:
        """The monitoring plan, on the plots and sample plots of the first survey, with the sampling design that it states."""
        plan = MonitoringPlan(
            project_id=self.project.project_id,
            first_survey_id=self.plan["first_survey_id"] or first.survey_id,
            treatments={p.plot_id: p.treatment for p in first.plots},
            sample_plots={s.sample_plot_id: s.plot_id for s in first.sample_plots},
            deduction_policy=self.plan["deduction_policy"],
            confidence_ppm=self.plan["confidence_ppm"],
            interval_ppm=self.plan["interval_ppm"],
            cell_mm=self.plan["cell_mm"],
            declared=self.declared,
            canopy_model=self.canopy_model,
        )
        return with_design(plan, first)


def read_definition(file: Path) -> ProjectDefinition:
    """Project definition of a TOML file.

    Raises
    ------
    DefinitionError
        If the file is missing, no TOML, or a value is absent or wrong; the text names it.
    """
    try:
        doc = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _wrong(file, "a readable file", "読み取れるファイル", error.strerror or "none") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong(file, "TOML", "TOML形式", str(error)) from error
    return definition_of(doc, file)


def definition_of(doc: Mapping[str, Any], file: Path) -> ProjectDefinition:
    """Project definition of a parsed document; `file` names it in errors."""
    fields = dict(doc.get("project", {}))
    fields["project_id"] = fields.pop("id", None)
    fields = {"buffer_ppm": 30_000, "demo": False, "simulated": False, **fields}
    _check_fields(fields, Project, "[project]", file)
    plan = {**_PLAN_DEFAULTS, **doc.get("plan", {})}
    if set(plan) != set(_PLAN_DEFAULTS) or plan["deduction_policy"] not in POLICIES:
        known = ", ".join(_PLAN_DEFAULTS)
        raise _wrong(
            file,
            f"[plan] with {known}, and deduction_policy one of {', '.join(POLICIES)}",
            f"[plan] の項目 {known}（deduction_policy は {', '.join(POLICIES)} のいずれか）",
            str(doc.get("plan")),
        )
    declared = {**_NO_DECLARED, **doc.get("declared", {})}
    _check_fields(declared, DeclaredErrors, "[declared]", file)
    payees = tuple(_payee(p, file) for p in doc.get("payees", ()))
    _check_shares(payees, file)
    window = doc.get("chain", {}).get("challenge_window_s", 0)
    if type(window) is not int or not 0 <= window <= MAX_CHALLENGE_WINDOW_S:
        expected = f"[chain] challenge_window_s = 0..{MAX_CHALLENGE_WINDOW_S}"
        raise _wrong(file, expected, expected, repr(window))
    model = None
    if "canopy_model" in doc:
        _check_fields(doc["canopy_model"], CanopyModel, "[canopy_model]", file)
        model = CanopyModel(**doc["canopy_model"])
    sharing = doc.get("sharing", {}).get("basis", "fixed")
    delay_days = doc.get("sharing", {}).get("delay_days", 0)
    if type(delay_days) is not int or not 0 <= delay_days <= MAX_SHARE_DELAY_DAYS:
        expected = f"[sharing] delay_days = 0..{MAX_SHARE_DELAY_DAYS}"
        raise _wrong(file, expected, expected, repr(delay_days))
    if sharing not in BASES:
        expected = " | ".join(BASES)
        raise _wrong(file, f"[sharing] basis = {expected}", f"[sharing] basis = {expected}", repr(sharing))
    declared_errors = DeclaredErrors(**declared)
    delay_s = delay_days * 86_400
    return ProjectDefinition(
        Project(**fields), plan, declared_errors, payees, window, model, sharing, delay_s
    )


def accounts_of(payees: Sequence[Payee], address_of: Mapping[str, str]) -> dict[str, tuple[str, str, int]]:
    """English name, Japanese name and parts of a million by address; payees by bank stand together at theirs."""
    found: dict[str, list[Payee]] = {}
    for payee in payees:
        found.setdefault(address_of[payee.payee_id], []).append(payee)
    return {
        address: (
            ("Bank payouts: " if len(here) > 1 else "") + ", ".join(p.name_en for p in here),
            ("銀行振込口：" if len(here) > 1 else "") + "、".join(p.name_ja for p in here),
            sum(p.share_ppm for p in here),
        )
        for address, here in found.items()
    }


def _check_fields(fields: Mapping[str, Any], kind: type, where: str, file: Path) -> None:
    expected = set(kind.__dataclass_fields__)  # type: ignore[attr-defined]  # of a dataclass, which `type` does not say
    absent = sorted(n for n in expected if fields.get(n) is None)
    unknown = sorted(set(fields) - expected)
    if absent or unknown:
        raise _wrong(
            file,
            f"{where} with {', '.join(sorted(expected))}",
            f"{where} の項目 {', '.join(sorted(expected))}",
            f"absent: {absent or '-'}, unknown: {unknown or '-'}",
        )
    if kind is Project and not (
        isinstance(fields["start"], date)
        and all(type(fields[n]) is int and fields[n] >= 0 for n in ("epsg", "buffer_ppm"))
        and fields["buffer_ppm"] < SHARES
    ):
        raise _wrong(
            file,
            "start a date (2021-10-20), epsg and buffer_ppm whole numbers, buffer_ppm below 1,000,000",
            "start は日付（2021-10-20）、epsg と buffer_ppm は整数（buffer_ppm は1,000,000未満）",
            f"start={fields['start']!r}, epsg={fields['epsg']!r}, buffer_ppm={fields['buffer_ppm']!r}",
        )


def _payee(doc: Mapping[str, Any], file: Path) -> Payee:
    fields = dict(doc)
    fields["payee_id"] = fields.pop("id", "")
    _check_plots(fields, file)
    try:
        payee = Payee.from_doc(fields)
    except TypeError as error:
        raise _wrong(
            file,
            "[[payees]] with id, name_en, name_ja, share_ppm",
            "[[payees]] の id・name_en・name_ja・share_ppm",
            str(error),
        ) from error
    if not isinstance(payee.payee_id, str) or not _PAYEE_ID.fullmatch(payee.payee_id):
        raise _wrong(
            file,
            "a payee's id of small Latin letters, digits, '-' and '_', a letter first, up to 31 characters (owner-a)",
            "支払先の id（英小文字で始まる英小文字・数字・- ・_ の31文字以内、例 owner-a）",
            f"id = {payee.payee_id!r}",
        )
    whose = f"[[payees]] {payee.payee_id!r}: "
    if type(payee.share_ppm) is not int or payee.share_ppm <= 0:
        raise _wrong(
            file,
            f"{whose}a share_ppm above zero",
            f"{whose}正の share_ppm",
            f"share_ppm = {payee.share_ppm!r}",
        )
    if payee.pay_by not in ("chain", "bank"):
        raise _wrong(
            file, f"{whose}pay_by = chain | bank", f"{whose}pay_by = chain | bank", repr(payee.pay_by)
        )
    if not all(isinstance(name, str) and name.strip() for name in (payee.name_en, payee.name_ja)):
        raise _wrong(
            file,
            f"{whose}name_en and name_ja in words",
            f"{whose}name_en と name_ja（文字列）",
            f"{payee.name_en!r}, {payee.name_ja!r}",
        )
    return payee if payee.address == "" else replace(payee, address=_address(payee, file))


def _check_plots(fields: Mapping[str, Any], file: Path) -> None:
    plots = fields.get("plots", [])
    good = isinstance(plots, (list, tuple)) and all(isinstance(p, str) and p.strip() for p in plots)
    if not good or len(set(plots)) != len(plots):
        whose = f"[[payees]] {fields['payee_id']!r}: "
        raise _wrong(
            file,
            f'{whose}plots a list of different plot ids in quotes, plots = ["P1", "P2"]',
            f'{whose}plots は重複のない区画 id の文字列リスト（plots = ["P1", "P2"]）',
            f"plots = {plots!r}",
        )


def _address(payee: Payee, file: Path) -> str:
    try:
        return checked_address(
            payee.address,
            f"{file.name}, address of payee {payee.payee_id!r}",
            f"{file.name} の支払先 {payee.payee_id!r} の address",
        )
    except AddressRefused as refused:
        raise DefinitionError(en=refused.en, ja=refused.ja) from refused


def _check_shares(payees: tuple[Payee, ...], file: Path) -> None:
    total = sum(p.share_ppm for p in payees)
    if payees and total != SHARES:
        raise _wrong(
            file, f"payees' share_ppm that sum to {SHARES:,}", f"share_ppm の合計 {SHARES:,}", f"{total:,}"
        )
    if len({p.address for p in payees if p.by_bank}) > 1:
        raise _wrong(
            file,
            "one address (or none) for all payees by bank",
            "銀行振込の支払先すべてに同じ address（または空欄）",
            "several",
        )
    ids = {p.payee_id.replace("-", "_") for p in payees}
    if len(ids) != len(payees) or BANK_ROLE in ids:
        raise _wrong(
            file,
            f"payees with different ids, none {BANK_ROLE}",
            "重複しない支払先 id",
            "an id twice or reserved",
        )


def _wrong(file: Path, expected_en: str, expected_ja: str, got: str) -> DefinitionError:
    return DefinitionError(
        en=f"{file.name}: expected {expected_en}; got {got}. Mend the file; data/demo/project.toml is an example.",
        ja=f"{file.name}: {expected_ja}が必要ですが、{got} でした。data/demo/project.toml を例に直してください。",
    )
