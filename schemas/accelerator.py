"""Workers with an accelerator: what they are to have."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from .base import Model

ROWS = 16_384
"""Rows of a call to a model that runs apart, where the job does not say."""
_TYPE = re.compile(r"[a-z0-9][a-z0-9.-]*")


class Accelerator(Model):
    """GPUs or TPUs that the model runs on, on workers apart from those that read and preprocess."""

    type: str = Field(description="as the runner names it, for example `nvidia-l4` or `tpu-v5-lite-podslice`")
    count: int = Field(1, gt=0, description="GPUs of each worker; each holds one copy of the model")
    install_driver: bool = Field(True, description="whether the runner is to install NVIDIA's driver")
    topology: str | None = Field(None, description="how the chips of a TPU worker are laid out, for example `1x1`")
    machine_type: str | None = Field(None, description="of these workers, for example `g2-standard-4`")
    min_ram: str | None = Field(None, description="memory that these workers have at least, for example `16GB`")
    batch_size: int = Field(ROWS, gt=0, description="rows of a call to the model")

    @field_validator("type")
    @classmethod
    def _named(cls, type: str) -> str:
        if not _TYPE.fullmatch(type):
            raise ValueError(f"write the runner's name of it, such as nvidia-l4, found {type!r}")
        return type

    @property
    def is_tpu(self) -> bool:
        """Whether it is a TPU."""
        return self.type.startswith("tpu")

    @property
    def hints(self) -> dict[str, str]:
        """Beam's resource hints of the steps that need it."""
        said = [f"type:{self.type}"]
        if self.is_tpu:
            said += [f"topology:{self.topology}"] if self.topology else []
        else:
            said.append(f"count:{self.count}")
        said += [f"machine_type:{self.machine_type}"] if self.machine_type else []
        said += ["install-nvidia-driver"] if self.install_driver and self.type.startswith("nvidia") else []
        return {"accelerator": ";".join(said)} | ({"min_ram": self.min_ram} if self.min_ram else {})
