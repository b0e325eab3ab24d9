"""What a stored sound is to those who asked for it, and to the ledger."""

from resources.orders.spoken import SpokenSound
from resources.speech.speaker import StoredSpeech
from sunriza_assets.costs.spoken import SpokenFacts

__all__ = ["ledger_facts", "sound_of"]


def sound_of(stored: StoredSpeech, audio_id: str) -> SpokenSound:
    """A stored sound as it is answered.

    Args:
        audio_id: the name under which it can be fetched; empty for none.
    """
    facts = stored.facts
    return SpokenSound(
        audio_id=audio_id,
        duration_ms=round(facts.seconds * 1000),
        sample_rate=facts.rate,
        cached=stored.cached,
        engine=facts.engine,
        why=stored.why,
        voice=facts.voice,
        licence=facts.licence,
        language=facts.language,
        characters=facts.characters,
    )


def ledger_facts(stored: StoredSpeech) -> SpokenFacts:
    """A stored sound as it is booked."""
    facts = stored.facts
    return SpokenFacts(
        voice=facts.voice,
        licence=facts.licence,
        language=facts.language,
        characters=facts.characters,
        sound_s=round(facts.seconds, 6),
        cache="hit" if stored.cached else "miss",
    )
