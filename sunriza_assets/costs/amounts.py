"""What each row of the ledger cost, by a price book or as booked, for whole tables at once.

Sums and shares of these amounts are in `reports.py`; `prices.cost_of` prices a single step.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.costs.prices import GB, GIB, PriceBook

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["amounts", "categories", "saved_cost"]

_NO_VALUE: Final = "(none)"


def amounts(frame: "pd.DataFrame", book: PriceBook | None) -> "pd.Series":
    """Cost of every row by a book, NaN where a part of it has no price; `prices.cost_of` at scale.

    None takes the costs as booked.
    """
    import pandas as pd

    if book is None:
        return frame["cost"].astype(float)
    wall = frame["wall_s"].to_numpy(float)
    used = frame["cpu_s"].to_numpy(float)
    shared = categories(frame["device_kind"]).eq("cpu").to_numpy(bool) & ~np.isnan(used)
    total = np.where(shared, used, wall) * _device_rates(frame, book)
    if book.cores is not None:
        total = total + used * book.cores.rate
    if book.memory is not None:
        total = total + frame["peak_memory_bytes"].to_numpy(float) / GIB * wall * book.memory.rate
    if book.egress is not None:
        # As in `cost_of`: unmeasured traffic counts as none.
        total = total + np.nan_to_num(frame["egress_bytes"].to_numpy(float)) / GB * book.egress.rate
    return pd.Series(total, index=frame.index)


def _device_rates(frame: "pd.DataFrame", book: PriceBook) -> NDArray[np.float64]:
    """Price per second of every row's device, NaN where the book has none."""
    device, kind = categories(frame["device"]).cat, categories(frame["device_kind"]).cat
    pair = device.codes.to_numpy(np.int64) * len(kind.categories) + kind.codes.to_numpy(np.int64)
    seen, place = np.unique(pair, return_inverse=True)
    rates = np.full(len(seen), np.nan)
    for index, code in enumerate(seen):
        name, how = divmod(int(code), len(kind.categories))
        found = book.find(str(device.categories[name]), str(kind.categories[how]))
        if found is not None:
            rates[index] = found[1].rate
    return rates[place]


def saved_cost(frame: "pd.DataFrame", cost: "pd.Series") -> "pd.Series":
    """What the seconds saved by a cache would have cost: at the rate of that asset when made."""
    made = (frame["cache"] != "hit") & cost.notna()
    asset = categories(frame["asset"])
    spent = cost[made].groupby(asset[made], observed=True).sum()
    seconds = frame["wall_s"][made].groupby(asset[made], observed=True).sum()
    rate = asset.astype(object).map((spent / seconds.where(seconds > 0)).to_dict())
    own = cost / frame["wall_s"].where(frame["wall_s"] > 0)
    return frame["cache_saved_s"] * rate.astype(float).fillna(own)


def categories(texts: "pd.Series") -> "pd.Series":
    """Categorical text in which a missing value is a name like others."""
    labels = texts.astype("category")
    if labels.isna().any():
        if _NO_VALUE not in labels.cat.categories:
            labels = labels.cat.add_categories(_NO_VALUE)
        labels = labels.fillna(_NO_VALUE)
    return labels
