"""Recipes that ship with the package: TOML files, one a name."""
