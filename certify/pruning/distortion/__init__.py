"""Spectral structural distortion of a layer's neurons: graphs before and after the activation, their pencil, and scores."""
