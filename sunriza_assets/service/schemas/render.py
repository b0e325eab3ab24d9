"""Answers of the emotion pictures' routes."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["EmotionEntry", "Emotions", "Picture", "Pictures", "SeedScale"]


class SeedScale(BaseModel):
    """How earlier clients know an emotion. Pictures are not drawn by these."""

    mouth: float
    eyes: float
    eyebrows: float
    expression_scale: float


class Picture(BaseModel):
    """One finished emotion picture."""

    model_config = ConfigDict(protected_namespaces=())

    output_path: str = Field(description="URL path of the file: `/output/<filename>`.")
    filename: str = Field(description="Name of the file, which stays for 24 hours.")
    url: str = Field(description="URL of the file.")
    emotion: str = Field(description="The emotion that was asked for.")
    intensity: float = Field(ge=0, le=1, description="0 is the portrait itself.")
    latency_ms: float = Field(ge=0, description="From asking to the finished file.")
    gpu_used: bool
    model_version: str = Field(description="Version of the engine.")
    width: int = Field(description="Pixels.")
    height: int = Field(description="Pixels.")
    engine: str = Field(description="Engine that drew it.")
    cached: bool = Field(description="Whether the same picture had been drawn before.")
    seed_scale: SeedScale


class Pictures(BaseModel):
    """The pictures of a batch, in the order in which they were asked for."""

    results: list[Picture]
    count: int
    latency_ms: float = Field(ge=0, description="Of the whole batch.")


class EmotionEntry(BaseModel):
    """One emotion."""

    name: str
    seed_scale: SeedScale
    action_units: dict[str, float | None] | None = Field(
        description="What it is drawn by at intensity 1; lengths in distances of the outer eye"
        " corners, None where the portrait decides. None for neutral."
    )
    creases: dict[str, float] = Field(
        description="How deep each crease of the skin is at intensity 1, 0-1."
    )


class Emotions(BaseModel):
    """All emotions."""

    emotions: list[EmotionEntry]
    default_intensity: float
    formats: list[str] = Field(description="Values of output_format.")
    max_batch: int = Field(description="Most emotions of one batch.")
    sides: tuple[int, int] = Field(description="Smallest and largest width and height, pixels.")
