"""What is known of a source: where to get it, under which terms, how to cite it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class About:
    """A source's facts, for its data card and for what is said when a file is missing."""

    title: str
    url: str  # where to get it
    licence: str  # the terms, in a short sentence; "not stated" where its authors state none
    citation: str  # authors, title, venue, year
    layout: str  # what ROOT must look like, a line for each kind of file
    creator: str = ""  # its authors; "" where that is for the user to say
    published: str = ""  # the year
