"""forge: trains early-exit video networks, splits them at their exits and exports e4 bundles."""
