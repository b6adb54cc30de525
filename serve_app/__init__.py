"""The gateway: Qdrant's protocols in front, models and Qdrant behind."""
