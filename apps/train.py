"""Train a biomass regression on a table of field plots: a model file, its card for people, and the estimator for retraining.

    python -m apps.train plots.csv --response G_m2_ha --unit m²/ha --block cluster_id --plot-area-m2 707 \\
        --sensor "airborne laser" --source "..." --licence GPL-3 --out model.npz
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from models.errors import OutOfRange, SatoyamaError
from models.model_card import Kind, Selection, describe
from mrv.model_file import write_model
from mrv.training import TrainingPlan, read_plot_table, train


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("table", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--response", required=True, help="Column to predict.")
@click.option("--unit", required=True, help="Unit of the response.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Model file (npz); the card goes beside it."
)
@click.option("--kind", type=click.Choice(["area-based", "forest"]), default="area-based", show_default=True)
@click.option("--metric", "metrics", multiple=True, help="Columns to choose from (else every numeric one).")
@click.option("--leave-out", multiple=True, help="Numeric columns that are no metrics (other field values).")
@click.option(
    "--block", "block_column", default="", help="Column of clusters or stands that are left out whole."
)
@click.option(
    "--block-size-m", type=float, default=1000.0, show_default=True, help="Else squares of columns X, Y."
)
@click.option("--plot-area-m2", type=click.FloatRange(min=0, min_open=True), required=True)
@click.option("--sensor", required=True, help="What the metrics come from.")
@click.option(
    "--selection",
    type=click.Choice(["random", "systematic", "purposive", "unknown"]),
    default="unknown",
    show_default=True,
    help="How the plots were chosen.",
)
@click.option("--source", required=True, help="Where the plots come from.")
@click.option("--licence", required=True)
@click.option("--project", default="", help="Project in whose forest the plots stand.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the forest.")
@click.option("--trees", type=click.IntRange(10, 5000), default=500, show_default=True, help="Of the forest.")
@click.option(
    "--skops", "skops_path", type=click.Path(path_type=Path), help="Keep a forest's estimator for retraining."
)
@click.option("--lang", type=click.Choice(["en", "ja"]), default="en")
def main(
    table: Path, out: Path, kind: str, selection: str, skops_path: Path | None, lang: str, **options: Any
) -> None:
    """Fit a model on field plots and write its card. 標準地の表からモデルを作る"""
    plan = TrainingPlan(kind=cast(Kind, kind), selection=cast(Selection, selection), **options)
    try:
        if skops_path is not None and kind != "forest":
            raise OutOfRange(
                en="expected --kind forest with --skops: an area-based model is its coefficients, which stand in the npz",
                ja="--skopsは--kind forestのときだけ使えます。面積ベースのモデルは係数そのもので、npzに入っています",
            )
        trained = train(read_plot_table(table.read_bytes(), table.name), plan)
    except SatoyamaError as error:
        raise click.ClickException(str(error)) from error
    except ImportError as error:
        raise click.ClickException(
            f"expected the extra 'train' (scikit-learn, skops): {error}\n'train' 追加パッケージが必要です"
        ) from error
    out.write_bytes(write_model(trained.model, trained.card))
    out.with_suffix(".md").write_text(describe(trained.card) + "\n" + describe(trained.card, "ja"), "utf-8")
    if skops_path is not None:
        from skops.io import dump

        dump(trained.estimator, skops_path)
    click.echo(describe(trained.card, "ja" if lang == "ja" else "en"))


if __name__ == "__main__":
    main()
