"""The settings of a replica: a model's `user_config` in the Serve config file."""

from __future__ import annotations

from pydantic import Field

from deployments.networks.settings import SessionSettings


class ReplicaSettings(SessionSettings):
    """A model's `user_config` in the Serve config file.

    `token_budget` bounds the tokens of a chunk, padding included. On CPUs, more than a few hundred of them gain
    nothing, cost memory, and make the searches behind them wait. `threads` 0 is as many as the cores reserved for a
    replica (`num_cpus`); one that has less than a whole core reserved uses all of the machine's. `tokenizing_threads`
    is how many batches are tokenized at the same time, ahead of their runs.
    """

    token_budget: int = Field(default=256, gt=0)
    tokenizing_threads: int = Field(default=2, ge=1)

    def session(self) -> SessionSettings:
        """The part for which the model has to be loaded anew."""
        return SessionSettings(**self.model_dump(include=set(SessionSettings.model_fields)))
