"""Tables 1 to 4 of the paper, its numbers beside ours.

The numbers in paper/table1.csv to table4.csv are those that the paper reports (S. Jeon, D. Min,
S. Kim, K. Sohn: Joint Learning of Semantic Alignment and Object Landmark Detection, ICCV 2019), in
percent. A reported number and a measured one are of other data, backbones and machines: they stand
under one another, told apart by a column, and are never ranked against each other. Measured numbers
that cannot be compared stand in tables of their own.
"""

from collections.abc import Callable, Sequence
from importlib import resources
from io import StringIO

import pandas as pd

from jladkit.reports.cells import NOT_EVALUATED, NUMBERS, Cell, Table, grid_of, scored
from jladkit.reports.tables import NONE, Board, Entry, row_at

# What the paper calls our methods, in the order of its tables.
METHODS = {
    "cnngeo": "CNNgeo",
    "cnninlier": "CNNinlier",
    "a2net": "A2Net",
    "rtn": "RTNs",
    "ncnet": "NCNet",
    "fpe": "FPE",
    "deil": "DEIL",
    "strucrep": "StrucRep",
    "cig": "CIG",
    "joint": "Ours",
}
ALPHAS = (0.05, 0.1, 0.15)
# The paper's data sets in Table 4, and a word in the names of ours that are the same.
FACES_AND_OBJECTS = {"MAFL": "mafl", "AFLW": "aflw", "JLAD": "jlad"}
REPORTED, NOT_TRAINED, NOT_AT_HAND = "reported", "not trained", "data not at hand"
OTHER_DATA = "other data"  # of a column that the results at hand say nothing about
CAPTIONS = {
    1: "Table 1: separate and joint learning",
    2: "Table 2: PCK@0.1 by category",
    3: "Table 3: PCK on PF-PASCAL",
    4: "Table 4: IOD error, less is better",
}
NOTE = (
    f'{NUMBERS} "reported" is what the paper prints, of its own data and backbone, without intervals; '
    f'it is never ranked against what is measured here. "{NOT_TRAINED}": there is no result of the '
    f'method; "{NOT_AT_HAND}": the data set has no such category.'
)
STAGES_NOTE = (
    "Measured rows are what `jladkit reproduce` left in its folders, one a seed; its table1.txt has "
    "their means and the controls."
)
# The rows of Table 1, by the runs of `jladkit reproduce` and their weights that are scored.
STAGES = {
    ("separate", "model"): "Separate learning",
    ("joint", "after-02-detect"): "Iteration 1",
    ("joint", "after-04-detect"): "Iteration 2",
    ("joint", "after-06-detect"): "Iteration 3",
    ("joint", "after-08-detect"): "Iteration 4",
}
Record = dict[str, Cell | str]


def paper_tables(boards: Sequence[Board]) -> list[Table]:
    """The paper's tables, each once for every one of `boards` that belongs into it, or with the
    paper's numbers alone."""
    made: list[Table] = []
    stages = [(pck, iod_beside(pck, boards)) for pck in boards if of_stages(pck)]
    for pck, iod in stages or [(None, None)]:
        name = "paper-1" if pck is None else f"paper-1-{pck.slug}"
        made.append(Table(name, CAPTIONS[1], grid_of(by_stage(pck, iod)), f"{NOTE} {STAGES_NOTE}"))
    for number, (make, belongs) in MAKERS.items():
        own: list[Board | None] = [board for board in boards if belongs(board)]
        for board in own or [None]:
            name = f"paper-{number}" + ("" if board is None else f"-{board.slug}")
            made.append(Table(name, CAPTIONS[number], grid_of(make(board)), NOTE))
    return made


def reported_tables() -> list[tuple[str, Table, tuple[str, ...], str]]:
    """The paper's tables with its numbers alone: a name, the table, its data sets, its metric."""
    heads = {"pck_at_0.05": "PCK@0.05", "pck_at_0.1": "PCK@0.1", "pck_at_0.15": "PCK@0.15",
             "iod": "IOD", "mafl": "MAFL", "aflw": "AFLW", "jlad": "JLAD",
             "k_faces": "K of faces", "k_objects": "K of objects"}  # fmt: skip
    kinds = (
        (1, "Table 1: separate and joint learning", ("JLAD",), "pck"),
        (2, CAPTIONS[2], ("JLAD",), "pck"),
        (3, CAPTIONS[3], ("PF-PASCAL",), "pck"),
        (4, CAPTIONS[4], tuple(FACES_AND_OBJECTS), "iod"),
    )
    note = "As the ICCV 2019 paper reports them, in percent: of its own data and backbone."
    return [
        (f"reported-{number}",
         Table(f"reported-{number}", f"The paper's {caption}",
               grid_of(as_rows(reported(number).rename(columns=heads))), note), datasets, metric)
        for number, caption, datasets, metric in kinds
    ]  # fmt: skip


def reported(number: int) -> pd.DataFrame:
    """A table of the paper as text, rows and columns in its order."""
    text = (resources.files("jladkit.reports") / "paper" / f"table{number}.csv").read_text("utf-8")
    return pd.read_csv(StringIO(text), dtype=str, keep_default_na=False).replace("", NONE)


def stage_of(entry: Entry) -> tuple[str, str]:
    """The row of Table 1 that a result of `jladkit reproduce` is of, and its seed; ("", "") for
    others. They lie in RUN/seed-N/scores/WEIGHTS/DATASET/METHOD."""
    run, seed, scores, weights, *_ = [*[""] * 6, *entry.path.parts][-7:]
    stage = STAGES.get((run, weights), "")
    return (stage, seed) if scores == "scores" and stage else ("", "")


def of_stages(board: Board) -> bool:
    """Whether results belong beside Table 1."""
    return is_scored(board, "pck", "jlad") and any(stage_of(e)[0] for e in board.entries)


def iod_beside(pck: Board, boards: Sequence[Board]) -> Board | None:
    """The board of IOD of the same data set and split as one of PCK."""
    same = [
        one
        for one in boards
        if is_scored(one, "iod", "recommended")
        and one.first.dataset_digest == pck.first.dataset_digest
        and one.first.split == pck.first.split
    ]
    return same[0] if same else None


def by_stage(pck: Board | None, iod: Board | None) -> list[Record]:
    """Table 1: what each alternation brings, in PCK and IOD."""
    paper = reported(1).rename(columns={"pck_at_0.1": "PCK@0.1", "iod": "IOD"})
    records: list[Record] = [
        {"method": row["method"], "source": REPORTED, **row} for row in as_rows(paper)
    ]
    if pck is None:
        return records
    errors = {} if iod is None else {stage_of(e): e for e in iod.entries}
    scores = {stage_of(e): e for e in pck.entries}
    source = told(pck) if iod is None else f"{told(pck)}; {told(iod)}"
    for stage in STAGES.values():
        for place in sorted(found for found in scores if found[0] == stage):
            score, error = scores[place], errors.get(place)
            records.append(
                {
                    "method": f"{stage}, {place[1]}",
                    "source": source,
                    "PCK@0.1": scored(score, row_at(score.result, "alpha", 0.1)),
                    "IOD": NOT_EVALUATED
                    if error is None
                    else scored(error, error.result.results[0]),
                }
            )
    return records


def of_categories(board: Board) -> bool:
    """Whether results belong beside Table 2: PCK by the box, of any of its categories."""
    one = board.first
    names = set(reported(2).columns)
    return is_scored(board, "pck", "jlad") and bool(names & set(one.results[0]["categories"]))


def of_pf_pascal(board: Board) -> bool:
    """Whether results belong beside Table 3: PCK on a data set whose name says PF-PASCAL."""
    name = board.first.dataset.lower()
    return is_scored(board, "pck", "scnet", "jlad") and "pf" in name and "pascal" in name


def of_landmarks(board: Board) -> bool:
    """Whether results belong beside Table 4."""
    return is_scored(board, "iod", "recommended", "imm", "halves", "halves-recommended")


def is_scored(board: Board, metric: str, *protocols: str) -> bool:
    """Whether a board is of a metric and one of some protocols."""
    return board.first.metric == metric and board.first.protocol["name"] in protocols


def by_category(board: Board | None) -> list[Record]:
    """Table 2: methods by category."""
    paper = reported(2)
    names = [name for name in paper.columns if name not in ("method", "all")]
    records: list[Record] = [
        {"method": row["method"], "source": REPORTED, **row} for row in as_rows(paper)
    ]
    for label, entry in in_order(board, paper["method"].tolist()):
        row = None if entry is None else row_at(entry.result, "alpha", 0.1)
        cells: Record = dict.fromkeys([*names, "all"], NOT_TRAINED)
        if entry is not None:
            found = {} if row is None else row["categories"]
            cells = {
                n: scored(entry, row, category=n) if n in found or row is None else NOT_AT_HAND
                for n in names
            }
            cells["all"] = scored(entry, row, "category_mean")
        records.append({"method": label, "source": told(board)} | cells)
    return records


def by_alpha(board: Board | None) -> list[Record]:
    """Table 3: methods by tolerance."""
    paper = reported(3)
    heads = [f"PCK@{alpha:g}" for alpha in ALPHAS]
    paper.columns = ["method", *heads]
    records: list[Record] = [
        {"method": row["method"], "source": REPORTED, **row} for row in as_rows(paper)
    ]
    for label, entry in in_order(board, paper["method"].tolist()):
        cells: list[Cell | str] = [
            NOT_TRAINED if entry is None else scored(entry, row_at(entry.result, "alpha", alpha))
            for alpha in ALPHAS
        ]
        records.append(
            {"method": label, "source": told(board)} | dict(zip(heads, cells, strict=True))
        )
    return records


def by_data(board: Board | None) -> list[Record]:
    """Table 4: methods with their K, a column for each data set: the paper's, and ours where it is
    none of them."""
    paper = reported(4)
    own = [] if board is None else [column_of(board)]
    heads = list(dict.fromkeys([*FACES_AND_OBJECTS, *own]))
    records: list[Record] = [
        {
            "method": row["method"],
            "K": f"{row['k_faces']} / {row['k_objects']}",
            "source": REPORTED,
            **{head: row.get(head.lower(), "not in the paper") for head in heads},
        }
        for row in as_rows(paper)
    ]
    for label, entry in in_order(board, paper["method"].tolist()):
        first = None if entry is None else entry.result.results[0]
        k = NONE if first is None else str(first.get("landmarks", NONE))
        error = NOT_TRAINED if entry is None else scored(entry, first)
        cells = {head: error if head in own else OTHER_DATA for head in heads}
        records.append({"method": label, "K": k, "source": told(board), **cells})
    return records


def column_of(board: Board) -> str:
    """The column of Table 4 that a board's data set has, else one of its own."""
    name = board.first.dataset
    named = [head for head, word in FACES_AND_OBJECTS.items() if word in name.lower()]
    return named[0] if named else name


MAKERS: dict[int, tuple[Callable[[Board | None], list[Record]], Callable[[Board], bool]]] = {
    2: (by_category, of_categories),
    3: (by_alpha, of_pf_pascal),
    4: (by_data, of_landmarks),
}


def in_order(board: Board | None, paper: Sequence[str]) -> list[tuple[str, Entry | None]]:
    """The paper's methods in its order, None where there is no result; then whatever else there is."""
    if board is None:
        return []
    wanted = [own for own, name in METHODS.items() if name in set(paper)]
    rows: list[tuple[str, Entry | None]] = []
    for name in wanted:
        found = [e for e in board.entries if e.result.method == name]
        rows += [(e.label, e) for e in found] or [(name, None)]
    return rows + [(e.label, e) for e in board.entries if e.result.method not in wanted]


def told(board: Board | None) -> str:
    """Where the measured numbers of a board are from."""
    if board is None:
        return NONE
    one = board.first
    count = one.results[0]["count"]
    protocol = f"{one.protocol['name']} {one.protocol['version']}"
    return f"measured, {protocol}, {one.dataset} {one.dataset_digest[:6]}, {one.split}, n={count}, 95 %"


def as_rows(frame: pd.DataFrame) -> list[dict[str, str]]:
    """A table of text, one dict a row."""
    return [{str(k): str(v) for k, v in row.items()} for row in frame.to_dict("records")]
