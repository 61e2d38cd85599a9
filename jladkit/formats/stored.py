"""What is held against a field of an HDF5 file before it is read: where its bytes lie, how many.

HDF5 lets a name lead into any other file of the machine, lets a field's bytes lie in any file, and
makes up bytes that were never written. A file from a stranger may do none of that; the one
exception are the shards of a virtual data set (jladkit.builders.shards), in a folder beside it.
"""

from pathlib import Path, PurePosixPath
from typing import Any

import h5py

from jladkit.errors import JladkitError

FREE = 1 << 24  # bytes that a field may claim whatever is stored of it
RATIO = (
    100  # how many times what is stored a field may claim beyond that: compressed, more is a trap
)


def own_field(file: h5py.File, name: str) -> h5py.Dataset | None:
    """The field of that name; None where there is none.

    Raises:
        JladkitError: the name, or a group above it, leads elsewhere, it is no field, or damaged.
    """
    try:
        found = followed(file, name)
        if found is not None:
            check_stored(file.filename, name, found)
        return found
    except (KeyError, RuntimeError, ValueError, TypeError) as error:  # h5py's, at broken bytes
        raise JladkitError(
            f"{file.filename}: {name} cannot be read: {error}. The file is damaged."
        ) from error


def followed(file: h5py.File, name: str) -> h5py.Dataset | None:
    """What stands under a name, without following any link out of the file or within it."""
    found: Any = file
    parts = name.split("/")
    for number, part in enumerate(parts, start=1):
        link = found.get(part, getlink=True) if isinstance(found, h5py.Group) else None
        if link is None:
            return None
        place = "/".join(parts[:number])
        if not isinstance(link, h5py.HardLink):
            raise JladkitError(
                f"{file.filename}: {place} points outside the file, or elsewhere in it, which is "
                "not allowed. Copy the file with its links resolved."
            )
        found = found[part]
    if not isinstance(found, h5py.Dataset):
        raise JladkitError(f"{file.filename}: {name} must be a field (an HDF5 data set).")
    return found


def check_stored(filename: str, name: str, found: h5py.Dataset) -> None:
    """Raise JladkitError where a field's bytes lie elsewhere than allowed, are lost, or are far
    fewer than it claims."""
    parts = found.virtual_sources() if found.is_virtual else []
    if found.external or not all(is_shard(part.file_name) for part in parts):
        raise JladkitError(f"{filename}: {name} points outside the file, which is not allowed.")
    folder = Path(filename).parent
    shards = {folder / part.file_name: part.dset_name for part in parts}
    lost = sorted(path for path in shards if not path.is_file())
    if lost:  # HDF5 would read zeros
        raise JladkitError(
            f"{filename} takes {name} from {len(lost)} files beside it that are missing, such as "
            f"{lost[0].relative_to(folder)}. Move the folder {lost[0].parent.name} along with it."
        )
    stored = sum(bytes_in_shard(path, inside) for path, inside in shards.items())
    stored = stored or found.id.get_storage_size()
    claimed = (found.size or 0) * found.dtype.itemsize
    if claimed > FREE and claimed > RATIO * stored:
        raise JladkitError(
            f"{filename}: {name} claims {claimed} bytes, but only {stored} are stored of it. It is "
            "damaged, or made to fill memories. Get the file from whoever made it."
        )


def bytes_in_shard(path: Path, name: str) -> int:
    """How many bytes a shard has itself of a virtual data set.

    Raises:
        JladkitError: it has it from elsewhere.
    """
    with h5py.File(path, "r") as file:
        place = name.strip("/")
        found = file[place] if isinstance(file.get(place, getlink=True), h5py.HardLink) else None
        if not isinstance(found, h5py.Dataset) or found.external or found.is_virtual:
            raise JladkitError(f"{path} must hold {place} itself, and does not. Build again.")
        return found.id.get_storage_size()


def is_shard(name: str) -> bool:
    """True for FOLDER.shards/NAME, beside the file: the only other files that are followed."""
    parts = PurePosixPath(name).parts
    return len(parts) == 2 and parts[0].endswith(".shards") and parts[1] != ".."
