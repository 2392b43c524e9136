"""Scores of channels that are functions of one ranking: features along the rank, their complexity, masks, and searches."""
