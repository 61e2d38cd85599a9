"""The three files everything passes through: dataset.h5, predictions.h5, result.json. No torch here."""
