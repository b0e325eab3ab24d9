"""`sunriza say` and `sunriza voices`: text to sound, and who can speak it."""

import shutil
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from sunriza_assets.atomic import replacing
from sunriza_assets.cli.options import as_json, print_json
from sunriza_assets.errors import ParameterError

__all__ = ["say", "voices"]


@click.command()
@click.argument("text")
@click.option("--lang", "language", required=True, help="Language, as de, en or en-us.")
@click.option("--voice", default="", help="One of the engine's voices; its default if not given.")
@click.option("--engine", default="auto", show_default=True, help="Voice engine.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="Speaking rate, 0.5-2.")
@click.option(
    "--reference",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A sound file of 3-20 s of the voice to imitate; only with that person's consent.",
)
@click.option("--licence-accepted", multiple=True, help="Licence that you accept, as cpml.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="WAV file to write; the times of phones, visemes and words are written beside it.",
)
@as_json
def say(
    text: str,
    language: str,
    voice: str,
    engine: str,
    speed: float,
    reference: Path | None,
    licence_accepted: tuple[str, ...],
    output: Path,
    as_json: bool,
) -> None:
    """Speak TEXT into a WAV file, and its times into a JSON file of the same name."""
    from resources.speech.speaker import open_speaker
    from sunriza_assets.studio.speech.voices.protocol import SpeakRequest

    if output.suffix.lower() != ".wav":
        raise ParameterError("The output is a WAV file", remedy="Give it a name in .wav.")
    times = output.with_suffix(".json")
    with TemporaryDirectory(prefix="sunriza-") as folder, open_speaker() as speaker:
        sample = _sample(reference, Path(folder)) if reference else None
        request = SpeakRequest(text, language, voice, speed, sample)
        stored = speaker.speak(request, engine, frozenset(licence_accepted))
        _copy(stored.wav, output)
        _copy(stored.times, times)
    facts = {
        "file": str(output),
        "times": str(times),
        "cached": stored.cached,
        "why": stored.why,
        **asdict(stored.facts),
    }
    if as_json:
        print_json(facts)
        return
    by = f"{stored.facts.voice} of {stored.facts.engine}"
    again = ", spoken before" if stored.cached else ""
    click.echo(f"{output}: {stored.facts.seconds:.2f} s by {by}, {stored.why}{again}")


def _sample(reference: Path, folder: Path) -> Path:
    """A reference as the engines take it: decoded, checked, mono WAV."""
    from sunriza_assets.studio.speech.sound_file import read_sound
    from sunriza_assets.studio.speech.wav import write_wav

    sample = folder / "reference.wav"
    write_wav(sample, read_sound(reference))
    return sample


def _copy(source: Path, destination: Path) -> None:
    with source.open("rb") as come, replacing(destination) as go:
        shutil.copyfileobj(come, go)


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
    found.sort(key=lambda voice: (not voice.installed, -voice.rank))
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
