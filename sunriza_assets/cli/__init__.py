"""The command `sunriza`.

Every command lives in a module of its own, imported when it is called, so that `sunriza --help`
answers at once. Commands raise `SunrizaError`; here it becomes one line and exit code 2.
"""

import importlib
import json
import logging
import sys
from collections.abc import Mapping
from typing import Final

import click

from sunriza_assets import __version__
from sunriza_assets.errors import SunrizaError, did_you_mean

__all__ = ["main"]

# name: (module, attribute, one line of help)
COMMANDS: Final[Mapping[str, tuple[str, str, str]]] = {
    "avatar": ("avatar", "avatar", "Add, list, show and remove avatars."),
    "demo": ("demo", "demo", "Make an avatar of a sample portrait and clip, end to end."),
    "bench": ("bench", "bench", "Measure the engines on this machine."),
    "backfill": ("backfill", "backfill", "Render many avatars; show, cancel, resume it."),
    "deploy": ("deploy", "deploy", "Prepare an instance: home, storage, pools."),
    "dev": ("deploy", "dev", "Start the Dagster UI and daemon on this home."),
    "doctor": ("doctor", "doctor", "Say what works here, what is missing and what to do."),
    "engines": ("engines", "engines", "Say what each engine can do, and which works here."),
    "inspect": ("inspect", "inspect", "Say what a media file is and whether a phone plays it."),
    "keys": ("keys", "keys", "Add, list and revoke API keys of the service."),
    "lineage": ("lineage", "lineage", "Say what made an avatar, or any file of one."),
    "models": ("models", "models", "List and pull model files."),
    "performances": ("performances", "performances", "List what can take the place of a clip."),
    "page": ("page", "page", "Write an avatar's preview page with everything in it."),
    "render": ("render", "render", "Materialize avatars through Dagster."),
    "report": ("report", "report", "Say what it took and cost, and would cost elsewhere."),
    "say": ("say", "say", "Speak a text into a sound file."),
    "serve": ("serve", "serve", "Start the HTTP service with all that it needs."),
    "settings": ("settings", "settings", "Print each setting, its value, source and meaning."),
    "voices": ("say", "voices", "List voices: languages, licences, what is installed."),
    "worker": ("worker", "worker", "Take runs from a queue, with warm models."),
}


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and shows its help without."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in order."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f"sunriza_assets.cli.{module}"), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{attribute} is not a command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest a command for an unknown word."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = did_you_mean(args[0], COMMANDS)
            ctx.fail(f"There is no command {args[0]!r}. {near}All of them: sunriza --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table above."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in self.list_commands(ctx)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sunriza")
@click.option("--verbose", is_flag=True, help="Log what happens to standard error.")
def sunriza(verbose: bool) -> None:
    """Living avatars from a portrait and a short talking clip."""
    from resources.settings import current_settings

    if click.get_current_context().invoked_subcommand != "settings":  # it shows the wrong ones
        current_settings()  # a wrong setting is named before anything is done
    level = logging.INFO if verbose else logging.WARNING
    if not verbose:  # its retries would bury the one line that says what to do
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    logging.basicConfig(
        level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )


def main() -> None:
    """Run the command line; the process's exit code is 0, 1 (a render failed) or 2 (an error)."""
    try:
        # Without its standalone mode click hands the code of `click.exceptions.Exit` back.
        exit_code = sunriza(standalone_mode=False)
        if isinstance(exit_code, int):
            sys.exit(exit_code)
    except click.exceptions.Abort:
        _exit_with_error("Interrupted", code="interrupted", exit_code=130)
    except click.ClickException as error:
        _exit_with_error(error.format_message(), code="usage", exit_code=2)
    except SunrizaError as error:
        _exit_with_error(error.message, code=error.code, exit_code=2)
    except OSError as error:  # from the file system: no permission, no space, no such folder
        place = f" ({error.filename})" if error.filename else ""
        _exit_with_error(f"{error.strerror or error}{place}", code="os", exit_code=2)
    except Exception as error:
        damage = _database_damage(error)
        if damage is None:
            raise
        _exit_with_error(damage.message, code=damage.code, exit_code=2)


def _database_damage(error: Exception) -> SunrizaError | None:
    """The named error for an exception caused by a damaged Dagster database; None for others."""
    if "dagster" not in sys.modules:
        return None
    from resources.home import Home
    from resources.settings import current_settings
    from sunriza_assets.platform.storage.databases import find_damage

    folder = current_settings().dagster_home or Home.from_environment().dagster
    return find_damage(error, folder)


def _exit_with_error(message: str, *, code: str, exit_code: int) -> None:
    """One line on standard error, and the same as JSON where JSON was asked for."""
    line = " ".join(message.split())
    if "--json" in sys.argv[1:]:
        click.echo(json.dumps({"error": {"code": code, "message": line}}))
    click.echo(f"error: {line}", err=True)
    sys.exit(exit_code)
