"""`sunriza engines`: what each engine can do, whether it works here, and which one `auto` takes."""

from dataclasses import asdict

import click

from sunriza_assets.cli.options import as_json, print_json

__all__ = ["engines"]


@click.command()
@as_json
def engines(as_json: bool) -> None:
    """Print every engine, what it can do, whether it can work here and why."""
    from resources.engines.choice import describe_engines
    from resources.home import Home

    found = describe_engines(Home.from_environment().models)
    if as_json:
        print_json({"engines": [asdict(engine) for engine in found]})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("engine", "here", "why", "auto", "can do")
    for engine in found:
        table.add_row(
            engine.name,
            "yes" if engine.available else "no",
            engine.reason,
            "yes" if engine.chosen else "",
            "\n".join(engine.capabilities),
        )
    Console().print(table)
