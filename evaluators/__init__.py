"""One file a metric: arrays in, numbers out; numpy and scipy only."""
