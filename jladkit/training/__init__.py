"""From dataset.h5 to checkpoints and predictions.h5: loading, recipes, the loop, prediction."""
