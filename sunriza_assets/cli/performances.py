"""`sunriza performances`: what moves a portrait for which there is no clip."""

from typing import Any

import click

from sunriza_assets.cli.options import as_json, print_json

__all__ = ["performances"]


@click.command()
@as_json
def performances(as_json: bool) -> None:
    """List the built-in performances that take the place of a clip."""
    from sunriza_assets.studio.performances.named import PERFORMANCES
    from sunriza_assets.studio.performances.plans import PLANS

    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "description": performance.description,
            "seconds": float(PLANS[name].seconds),
            "parameters": dict(performance.parameters),
        }
        for name, performance in PERFORMANCES.items()
    ]
    if as_json:
        print_json({"performances": rows})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "seconds", "what it is like", "brings along")
    for row in rows:
        brought = ", ".join(f"{name}={value}" for name, value in row["parameters"].items())
        table.add_row(row["name"], f"{row['seconds']:g}", row["description"], brought)
    Console().print(table)
    click.echo("Use one with: sunriza avatar add ID --image portrait.jpg --performance NAME")
