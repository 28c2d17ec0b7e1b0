"""What training.json holds: one variant's training in numbers. No clock value is among them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ftkit.store import JsonRecord


class TrainingRecord(JsonRecord):
    """One training: what was trained, on how much, how far."""

    variant: str = Field(description="label of the variant")
    method: str = Field(description="name of the tuning method")
    kind: Literal["adapter", "model"] = Field(description="how the weights are saved")
    num_rows: int = Field(description="rows of train that were learned")
    num_cut: int = Field(description="of these, rows whose input was cut to fit the context")
    num_dropped: int = Field(description="rows of train that did not fit and were left out")
    num_steps: int = Field(description="optimizer steps taken")
    best_step: int = Field(description="step whose weights were kept")
    valid_value: float | None = Field(description="primary metric on valid at the best step")
    num_target_tokens: int = Field(description="tokens a loss was computed of, over all steps")
    stopped_early: bool = Field(description="whether patience ended the training")
    learning_rate: float = Field(description="the highest of the schedule")
    num_parameters: int = Field(description="of the model, with its adapter")
    num_trainable_parameters: int = Field(description="of these, trained")
