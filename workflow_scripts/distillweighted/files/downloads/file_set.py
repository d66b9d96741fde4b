"""Files that a run needs and does not make: where they lie and where they come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FileSet:
    """Files that a data set needs: where they are expected and where they come from.

    Attributes:
        path: A file or folder under the data root that is there when the set is, as in
            `CUB_200_2011/images`.
        size: Bytes on disk, roughly.
        origin: Where a person gets it: a page, and what to do there.
        url: Where it may be downloaded automatically; None where a person has to.
        checksum: "md5:..." or "sha256:..." of the download.
        unpack: Folder under the data root that the archive is unpacked into ("" is the root
            itself); None where the download is the file at `path`.
    """

    path: str
    size: int
    origin: str
    url: str | None = None
    checksum: str | None = None
    unpack: str | None = None
