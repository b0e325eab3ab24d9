"""`sunriza say` and `sunriza voices`: text to sound, and who can speak it."""

from dataclasses import asdict
from pathlib import Path

import click

from sunriza_assets.cli.options import as_json, print_json

__all__ = ["say", "voices"]


@click.command()
@click.argument("text")
@click.option("--lang", "language", required=True, help="Language, as de, en or en-us.")
@click.option("--voice", default="", help="One of the engine's voices; its default if not given.")
@click.option("--engine", default="auto", show_default=True, help="Voice engine.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="Speaking rate, 0.5-2.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="WAV file to write.",
)
@as_json
def say(
    text: str,
    language: str,
    voice: str,
    engine: str,
    speed: float,
    output: Path,
    as_json: bool,
) -> None:
    """Speak TEXT into a WAV file."""
    from resources.home import Home
    from sunriza_assets.studio.speech.speech import joined
    from sunriza_assets.studio.speech.voices.catalog import all_voices
    from sunriza_assets.studio.speech.voices.choice import choose_voice
    from sunriza_assets.studio.speech.voices.protocol import SpeakRequest
    from sunriza_assets.studio.speech.voices.text import checked
    from sunriza_assets.studio.speech.voices.worker import VoiceWorker
    from sunriza_assets.studio.speech.wav import write_wav

    models = Home.from_environment().models
    request = checked(SpeakRequest(text, language, voice, speed))
    choice = choose_voice(request, all_voices(models), engine)
    with VoiceWorker(choice.voice.engine, models) as worker:
        speech = joined(worker.stream(request))
    write_wav(output, speech.sound)
    facts = {
        "file": str(output),
        "seconds": round(speech.sound.seconds, 3),
        "engine": speech.engine,
        "voice": speech.voice,
        "licence": speech.licence,
        "reason": choice.reason,
    }
    if as_json:
        print_json(facts)
    else:
        click.echo(
            f"{output}: {facts['seconds']} s by {speech.voice} of {speech.engine}, {choice.reason}"
        )


@click.command()
@click.option("--lang", "language", default="", help="Only voices that speak this language.")
@as_json
def voices(language: str, as_json: bool) -> None:
    """List voices: engine, languages, licence, and how to install what is missing."""
    from resources.home import Home
    from sunriza_assets.studio.speech.voices.catalog import all_voices
    from sunriza_assets.studio.speech.voices.choice import speaks

    known = all_voices(Home.from_environment().models)
    tag = language.strip().lower().replace("_", "-")
    found = [voice for voice in known if not tag or speaks(voice, tag, accented=True)]
    found.sort(key=lambda voice: -voice.rank)
    if as_json:
        print_json({"voices": [asdict(voice) for voice in found]})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("engine", "voice", "languages", "clones", "licence", "here")
    for voice in found:
        table.add_row(
            voice.engine,
            voice.name,
            _listed(voice.languages),
            "yes" if voice.clones else "",
            voice.licence,
            "yes" if voice.installed else voice.how_to_install,
        )
    Console().print(table)


def _listed(languages: tuple[str, ...]) -> str:
    return ", ".join(languages) if len(languages) <= 8 else f"{len(languages)} languages"
