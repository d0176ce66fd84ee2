"""A fitted model and its card in one ``npz``: plain arrays, no pickles, the same bytes for the same model."""

from __future__ import annotations

import io
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from models.area_based import AreaBasedModel
from models.errors import OutOfRange, SatoyamaError
from models.forest import Forest, check_forest
from models.model_card import ModelCard, card_document, card_from_document
from models.transforms import TRANSFORMS
from mrv.blob import canonical_json
from mrv.errors import Problem, Refusal

Model = AreaBasedModel | Forest
MOST_BYTES, MOST_ENTRIES = 512 * 1024**2, 16
CARD, NUMBERS = "card", "numbers"
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    RuntimeError,
    OSError,
    EOFError,
)
"""What the standard library raises on damaged archives and headers (a password, an unknown method, a wrong length)."""
_FOREST: Mapping[str, np.dtype[Any]] = {
    "feature": np.dtype("<i4"),
    "threshold": np.dtype("<f4"),
    "left": np.dtype("<i4"),
    "value": np.dtype("<f8"),
    "offset": np.dtype("<i8"),
    "left_out_error": np.dtype("<f8"),
}
_LINE: Mapping[str, np.dtype[Any]] = {"coefficients": np.dtype("<f8"), "inverse_gram": np.dtype("<f8")}
_SCALARS = (
    "residual_sd",
    "predictive_sd",
    "cross_validated_rmse",
    "mean_response",
    "plots",
    "blocks",
    "largest_leverage",
)


def write_model(model: Model, card: ModelCard) -> bytes:
    """The file of a model; equal models give equal bytes.

    Raises
    ------
    OutOfRange
        If card and model disagree.
    """
    _agree(model, card)
    if isinstance(model, Forest):
        arrays: dict[str, NDArray[Any]] = {
            n: np.asarray(getattr(model, n), dtype=t) for n, t in _FOREST.items()
        }
        arrays[NUMBERS] = np.array([model.mean_response], dtype="<f8")
    else:
        arrays = {n: np.asarray(getattr(model, n), dtype=t) for n, t in _LINE.items()}
        arrays[NUMBERS] = np.array([getattr(model, n) for n in _SCALARS], dtype="<f8")
    arrays[CARD] = np.frombuffer(canonical_json(card_document(card)), dtype=np.uint8)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(arrays.items()):
            body = io.BytesIO()
            npy.write_array(body, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, body.getvalue())
    return out.getvalue()


def read_model(data: bytes, name: str) -> tuple[Model, ModelCard]:
    """Model and card of a file, checked: it may hold anything.

    Parameters
    ----------
    name : str
        File name, for messages.

    Raises
    ------
    Refusal
        If it is no such file, unpacks to more than 512 MiB, or holds arrays that are no model.
    """
    try:
        arrays = _arrays(data)
        card = card_from_document(json.loads(arrays.pop(CARD).tobytes().decode("utf-8")))
        model = _forest(arrays, card) if card.kind == "forest" else _line(arrays, card)
        _agree(model, card)
    except SatoyamaError as reason:
        raise Refusal([_problem(name, reason.en, reason.ja)]) from reason
    except UNREADABLE as reason:
        text = f"{type(reason).__name__}: {reason}"
        raise Refusal([_problem(name, text, text)]) from reason
    return model, card


def _arrays(data: bytes) -> dict[str, NDArray[Any]]:
    out: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if sum(e.file_size for e in entries) > MOST_BYTES or len(entries) > MOST_ENTRIES:
            raise ValueError(f"it unpacks to more than {MOST_BYTES} bytes or too many entries")
        for entry in entries:
            with archive.open(entry) as file:
                body = file.read(entry.file_size)
            out[entry.filename.removesuffix(".npy")] = _array(body)
    return out


def _array(body: bytes) -> NDArray[Any]:
    """An array of a ``.npy`` whose header claims no more than it holds."""
    file = io.BytesIO(body)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("expected npy version 1.0")
    shape, fortran, dtype = npy.read_array_header_1_0(file)
    rest = body[file.tell() :]
    if dtype.hasobject or fortran or int(np.prod(shape, dtype=object)) * dtype.itemsize != len(rest):
        raise ValueError("expected plain numbers, as many as the header says")
    return np.frombuffer(rest, dtype=dtype).reshape(shape)


def _typed(arrays: Mapping[str, NDArray[Any]], kinds: Mapping[str, np.dtype[Any]]) -> dict[str, NDArray[Any]]:
    if set(arrays) != {*kinds, NUMBERS}:
        raise ValueError(f"expected the arrays {sorted({*kinds, NUMBERS})}, got {sorted(arrays)}")
    wrong = [n for n, kind in kinds.items() if arrays[n].dtype != kind]
    if wrong or arrays[NUMBERS].dtype != np.dtype("<f8") or not np.isfinite(arrays[NUMBERS]).all():
        raise ValueError(f"expected arrays of their own kinds and finite numbers, not so {wrong or NUMBERS}")
    return {n: arrays[n] for n in kinds}


def _forest(arrays: Mapping[str, NDArray[Any]], card: ModelCard) -> Forest:
    typed = _typed(arrays, _FOREST)
    if arrays[NUMBERS].shape != (1,):
        raise ValueError("expected the mean response")
    forest = Forest(
        response=card.response,
        metrics=card.metrics,
        ranges=_in_order(card),
        mean_response=float(arrays[NUMBERS][0]),
        **typed,
    )
    check_forest(forest)
    return forest


def _line(arrays: Mapping[str, NDArray[Any]], card: ModelCard) -> AreaBasedModel:
    typed = _typed(arrays, _LINE)
    p = len(card.metrics) + 1
    shapes = typed["coefficients"].shape, typed["inverse_gram"].shape, arrays[NUMBERS].shape
    if shapes != ((p,), (p, p), (len(_SCALARS),)):
        raise ValueError(f"expected coefficients of {p} parameters, got arrays of {shapes}")
    if not all(np.isfinite(a).all() for a in typed.values()) or card.transform not in TRANSFORMS:
        raise ValueError("expected finite coefficients and a known transformation")
    numbers = dict(zip(_SCALARS, map(float, arrays[NUMBERS]), strict=True))
    if numbers["plots"] <= p or min(numbers.values()) < 0:
        raise ValueError("expected more plots than parameters and no negative spread")
    return AreaBasedModel(
        response=card.response,
        transform=card.transform,
        predictors=card.metrics,
        coefficients=tuple(map(float, typed["coefficients"])),
        inverse_gram=tuple(tuple(map(float, row)) for row in typed["inverse_gram"]),
        residual_sd=numbers["residual_sd"],
        predictive_sd=numbers["predictive_sd"],
        cross_validated_rmse=numbers["cross_validated_rmse"],
        mean_response=numbers["mean_response"],
        plots=int(numbers["plots"]),
        blocks=int(numbers["blocks"]),
        ranges=_in_order(card),
        largest_leverage=numbers["largest_leverage"],
    )


def _in_order(card: ModelCard) -> dict[str, tuple[float, float]]:
    return {name: card.ranges[name] for name in card.metrics}


def _agree(model: Model, card: ModelCard) -> None:
    kind = "forest" if isinstance(model, Forest) else "area-based"
    metrics = model.metrics if isinstance(model, Forest) else model.predictors
    if (kind, model.response, metrics, dict(model.ranges)) != (
        card.kind,
        card.response,
        card.metrics,
        _in_order(card),
    ):
        raise OutOfRange(
            en=f"expected a card of this {kind} model of {model.response} on {metrics}, got one of {card.kind}, {card.response}, {card.metrics}; train the model again",
            ja=f"{model.response}の{kind}モデル({metrics})のカードが必要ですが、{card.kind}・{card.response}・{card.metrics}でした。モデルを作り直してください",
        )


def _problem(where: str, got_en: str, got_ja: str) -> Problem:
    return Problem(
        code="model.bad_file",
        where=where,
        expected_en="a model of this program (npz of plain arrays with its card)",
        expected_ja="このプログラムのモデル(配列とカードのnpz)",
        got_en=got_en,
        got_ja=got_ja,
        todo_en="Train the model again, or get the file anew.",
        todo_ja="モデルを作り直すか、ファイルを取り直してください。",
    )
