"""`sunriza report`: what was spent, in time and money, and what it would cost elsewhere."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from sunriza_assets.cli.options import print_json

if TYPE_CHECKING:
    from sunriza_assets.costs.ledger import Ledger
    from sunriza_assets.costs.prices import PriceBook
    from sunriza_assets.costs.reports import Report

__all__ = ["report"]

Command = TypeVar("Command", bound=Callable[..., Any])

_GROUPINGS: Final = ("avatar", "run", "asset", "day", "month", "engine")
_COST_GROUPINGS: Final = (*_GROUPINGS, "kind")
_FORMATS: Final = ("table", "csv", "json", "html")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_WHAT_IF_ROWS: Final = 50_000
"""The newest ledger rows that a what-if learns its measured seconds from."""


class Instant(click.ParamType):
    """A date, an instant, or a span back from now: 2025-10-20, 2025-10-20T12:00, 7d, 24h."""

    name = "when"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """The instant in UTC; one without a zone is UTC already."""
        if isinstance(value, datetime):
            return value
        if span := re.fullmatch(r"(\d{1,6})([mhdw])", value.strip()):
            return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
        try:
            instant = datetime.fromisoformat(value.strip())
        except ValueError:
            self.fail(f"{value!r} is no date such as 2025-10-20 and no span such as 7d", param, ctx)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


class Numbers(click.ParamType):
    """Numbers above zero, with commas between them."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        """At least one number."""
        if isinstance(value, list):
            return value
        try:
            numbers = [float(part) for part in value.split(",") if part.strip()]
        except ValueError:
            numbers = []
        if not numbers or not all(0 < number < float("inf") for number in numbers):
            self.fail(f"{value!r} is no list of numbers such as 10,50,100", param, ctx)
        return numbers


class DeviceTimes(click.ParamType):
    """Device=seconds, with commas between them."""

    name = "device=seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, float]:
        """Device -> seconds."""
        if isinstance(value, dict):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        try:
            times = {device.strip(): float(seconds) for device, _, seconds in pairs}
        except ValueError:
            times = {}
        if not times or not all(0 < seconds < float("inf") for seconds in times.values()):
            self.fail(f"{value!r} is no list such as T4=70,A10G=38", param, ctx)
        return times


def output_options(command: Command) -> Command:
    """--format and --json."""
    command = click.option(
        "--format", "form", type=click.Choice(_FORMATS), default="table", show_default=True
    )(command)
    return click.option("--json", "as_json", is_flag=True, help="The same as --format json.")(
        command
    )


def ledger_options(command: Command) -> Command:
    """--since, --limit, and the output options."""
    command = output_options(command)
    command = click.option(
        "--limit", type=click.IntRange(min=1), default=50, show_default=True,
        help="Rows shown in tables and pages; CSV and JSON are always whole.",
    )(command)  # fmt: skip
    return click.option(
        "--since", type=Instant(), help="Only what happened since: 2025-10-20, or 7d, or 24h."
    )(command)


book_option = click.option(
    "--book",
    metavar="NAME",
    help="Price book: a name, or FILE.yaml#NAME. Default: SUNRIZA_PRICE_BOOK, else the shipped "
    "default.",
)


@click.group()
def report() -> None:
    """Runtime and cost of all avatars, from the ledger."""


@report.command()
@click.option(
    "--by",
    type=click.Choice(_COST_GROUPINGS),
    default="avatar",
    show_default=True,
    help="One row each; a kind is what was asked for: dynamics, render, trim...",
)
@book_option
@ledger_options
def costs(
    *,
    by: str,
    book: str | None,
    since: datetime | None,
    limit: int,
    form: str,
    as_json: bool,
) -> None:
    """What it cost, and what caches saved.

    With --book booked the costs are those that each step wrote down when it ran, by the price book
    in use then; otherwise all are worked out anew by one book.
    """
    from sunriza_assets.costs.charts import costs_chart
    from sunriza_assets.costs.reports import BOOKED, COST_COLUMNS, cost_report

    prices = None if book == BOOKED else _price_book(book)
    frame = _ledger().frame(COST_COLUMNS, since=since)
    table = cost_report(frame, prices, by=by)  # type: ignore[arg-type]  # click knows the choices
    currency = prices.currency if prices else "as booked"
    _show(
        [table],
        form="json" if as_json else form,
        limit=limit,
        draw=lambda: [costs_chart(table, by, currency=currency)],
    )


@report.command()
@click.option(
    "--by", type=click.Choice(_GROUPINGS), default="asset", show_default=True, help="One row each."
)
@ledger_options
def runtime(*, by: str, since: datetime | None, limit: int, form: str, as_json: bool) -> None:
    """How long it took: median and 95th percentile, cold against warm, share of each stage."""
    from sunriza_assets.costs.charts import runtime_chart, share_chart
    from sunriza_assets.costs.reports import RUNTIME_COLUMNS, runtime_report, stage_report

    frame = _ledger().frame(RUNTIME_COLUMNS, since=since, calls=False)
    table = runtime_report(frame, by=by)  # type: ignore[arg-type]  # click knows the choices
    stages = stage_report(frame)
    _show(
        [table, stages],
        form="json" if as_json else form,
        limit=limit,
        draw=lambda: [share_chart(stages), runtime_chart(table, by)],
    )


@report.command("what-if")
@click.option(
    "--requests-per-day", "volumes", type=Numbers(), default="10,50,100,500,1000",
    show_default=True, help="Volumes, each a row per device.",
)  # fmt: skip
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=70.0, show_default=True,
    help="Time of one request with a ten-second clip, on every device alike.",
)  # fmt: skip
@click.option("--devices", default="T4,A10G", show_default=True, help="Entries of the price book.")
@click.option(
    "--device-seconds", "stated", type=DeviceTimes(),
    help="Each device's own seconds for a ten-second clip, such as T4=70,A10G=38; otherwise those "
    "measured by the ledger, or estimated.",
)  # fmt: skip
@click.option(
    "--clip-seconds", "clip_seconds", type=Numbers(), default="10", show_default=True,
    help="Lengths of clips to compare.",
)  # fmt: skip
@click.option(
    "--cache-hit-rate", type=click.FloatRange(0, 1), default=0.0, show_default=True,
    help="Share of requests whose motion template is cached.",
)  # fmt: skip
@click.option(
    "--saved-share", type=click.FloatRange(0, 1),
    help="Share of a request's time that a hit saves; otherwise as the ledger knows.",
)  # fmt: skip
@click.option(
    "--cold-start-seconds", type=click.FloatRange(min=0), default=0.0, show_default=True,
    help="Billed seconds of a cold start.",
)  # fmt: skip
@click.option(
    "--idle-window-seconds", type=click.FloatRange(min=0), default=0.0, show_default=True,
    help="Billed seconds that a container stays up after a request.",
)  # fmt: skip
@book_option
@output_options
def what_if(
    *,
    volumes: list[float],
    seconds: float,
    devices: str,
    stated: dict[str, float] | None,
    clip_seconds: list[float],
    cache_hit_rate: float,
    saved_share: float | None,
    cold_start_seconds: float,
    idle_window_seconds: float,
    book: str | None,
    form: str,
    as_json: bool,
) -> None:
    """What so many requests a day would cost on these devices.

    First at equal seconds, then at each device's own; with the seconds at which a device breaks
    even with the first one, and the requests a day from which a machine rented round the clock is
    the cheaper way.
    """
    from sunriza_assets.costs import what_if as scenario

    prices = _price_book(book)
    names = [name.strip() for name in devices.split(",") if name.strip()]
    known = scenario.measure(_ledger().recent(_WHAT_IF_ROWS, scenario.WHAT_IF_COLUMNS), prices)
    share = known.saved_share if saved_share is None else saved_share
    service = scenario.Service(
        cache_hit_rate=cache_hit_rate,
        saved_share=scenario.EXTRACTION_SHARE if share is None else share,
        cold_start_s=cold_start_seconds,
        idle_window_s=idle_window_seconds,
    )
    table = scenario.what_if(
        volumes,
        names,
        prices,
        seconds=seconds,
        own=scenario.own_seconds(names, measured=known.devices, stated=stated),
        service=service,
        clip_seconds=clip_seconds,
    )
    _show([table], form="json" if as_json else form, limit=None)


def _ledger() -> "Ledger":
    """The ledger of this home, with what its event log and its journal of calls hold by now."""
    from resources.home import Home
    from resources.settings import current_settings
    from sunriza_assets.costs.calls import CALLS_FOLDER
    from sunriza_assets.costs.ledger import LEDGER_FOLDER, Ledger

    home = Home.from_environment()
    ledger = Ledger(home.reports / LEDGER_FOLDER)
    if home.dagster.exists() or current_settings().dagster_home:  # else nothing ever ran here
        from resources.accounting.event_log import update_ledger
        from sunriza_assets.platform.instance import opened_instance

        with opened_instance(home) as instance:
            update_ledger(instance, ledger)
    ledger.add_calls(home.reports / CALLS_FOLDER)
    return ledger


def _price_book(name: str | None) -> "PriceBook":
    from resources.settings import current_settings
    from sunriza_assets.costs.prices import price_book

    return price_book(name or current_settings().price_book)


def _show(
    reports: "list[Report]",
    *,
    form: str,
    limit: int | None,
    draw: Callable[[], list[bytes]] = list,
) -> None:
    """Print reports; CSV has only the first one, HTML the charts, too."""
    from sunriza_assets.costs import render

    if form == "json":
        first, *more = [render.to_json(item) for item in reports]
        print_json({**first, "stages": more[0]["rows"]} if more else first)
    elif form == "csv":
        click.echo(render.to_csv(reports[0]), nl=False)
    elif form == "html":
        pictures = draw() if len(reports[0].rows) else []
        page = render.to_html(reports[0].title, reports, pictures=pictures, limit=limit)
        click.echo(page, nl=False)
    else:
        click.echo("\n".join(render.to_text(item, limit=limit) for item in reports), nl=False)
