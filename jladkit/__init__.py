"""jladkit: data sets, methods and scores for semantic alignment and landmark detection."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("jladkit")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"
