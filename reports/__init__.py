"""Result files -> tables, figures, pages. No torch."""
