"""Packed files: archives, and files that hold many images in one array.

Nothing is ever unpacked onto the disk: an image within is addressed as `photos.zip#cat/1.jpg` or
`train-images-idx3-ubyte.gz#17` and read where it lies. A kind of packed file is registered with `matches(name)` and
`open(path)`.
"""

from linnaea.runtime.containers.contract import CONTAINERS, Container, Kind
from linnaea.runtime.containers.member import MARK, Located, Member, kind_of, let_go, locate, open_container

__all__ = [
    "CONTAINERS",
    "MARK",
    "Container",
    "Kind",
    "Located",
    "Member",
    "kind_of",
    "let_go",
    "locate",
    "open_container",
]
