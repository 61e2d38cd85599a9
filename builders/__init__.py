"""One file a source data set: raw archive -> dataset.h5."""
