"""The bits of MLS (RFC 9420) that a delivery service writes and reads.

It proposes as an external sender, finds where a commit ends, and knows nothing of the
group's secrets: those are davey's.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

MLS_10, PUBLIC_MESSAGE = 1, 1
P256_SUITE = 2
"""DHKEMP256, AES-128-GCM, SHA-256, P-256."""
BASIC = 1
"""Type of credential."""
ADD, REMOVE = 1, 3
"""Types of proposals."""
FROM_MEMBER, FROM_OUTSIDE = 1, 2
PROPOSAL, COMMIT = 2, 3
"""Types of content."""


class MlsError(ValueError):
    """The bytes are not what they ought to be."""


def vec(data: bytes) -> bytes:
    """A vector behind its length, in 1, 2 or 4 bytes as QUIC writes it."""
    size = len(data)
    if size < 1 << 6:
        return struct.pack(">B", size) + data
    if size < 1 << 14:
        return struct.pack(">H", 1 << 14 | size) + data
    return struct.pack(">I", 1 << 31 | size) + data


class Reader:
    """Reads one message from its front."""

    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data

    def take(self, size: int) -> bytes:
        if self.at + size > len(self._data):
            raise MlsError("cut off")
        self.at += size
        return self._data[self.at - size : self.at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vec(self) -> bytes:
        first = self.number(1)
        if first >> 6 == 3:
            raise MlsError("no such length")
        more = self.take((1 << (first >> 6)) - 1)
        return self.take(int.from_bytes(bytes([first & 0x3F]) + more, "big"))

    def leaf(self) -> bytes:
        """Go over a LeafNode; its identity."""
        self.vec()  # encryption key
        self.vec()  # signature key
        if self.number(2) != BASIC:
            raise MlsError("not a basic credential")
        identity = self.vec()
        for _ in range(5):  # capabilities
            self.vec()
        source = self.number(1)
        if source == 1:  # of a key package: its lifetime
            self.take(16)
        elif source == 3:  # of a commit: the parent's hash
            self.vec()
        self.vec()  # extensions
        self.vec()  # signature
        return identity


def owner_of(package: bytes) -> int:
    """The user whose key package this is; raises MlsError."""
    reader = Reader(package)
    if (reader.number(2), reader.number(2)) != (MLS_10, P256_SUITE):
        raise MlsError("not a key package of this suite")
    reader.vec()  # init key
    identity = reader.leaf()
    reader.vec()  # extensions
    reader.vec()  # signature
    if len(identity) != 8 or reader.at != len(package):
        raise MlsError("not a key package of DAVE's")
    return int.from_bytes(identity, "big")


@dataclass(frozen=True, slots=True)
class Commit:
    """Op 28 taken apart: whose commit for which epoch, of what, and the Welcome."""

    message: bytes
    welcome: bytes
    epoch: int
    leaf: int
    refs: tuple[bytes, ...]


def read_commit(data: bytes) -> Commit:
    """A commit directly followed by its Welcome, if it has one; raises MlsError."""
    reader = Reader(data)
    if (reader.number(2), reader.number(2)) != (MLS_10, PUBLIC_MESSAGE):
        raise MlsError("not a public message")
    reader.vec()  # group id
    epoch = reader.number(8)
    if reader.number(1) != FROM_MEMBER:
        raise MlsError("not a member's")
    leaf = reader.number(4)
    reader.vec()  # authenticated data
    if reader.number(1) != COMMIT:
        raise MlsError("not a commit")
    refs = _refs(reader.vec())
    if reader.number(1):  # an UpdatePath
        reader.leaf()
        reader.vec()
    for _ in range(3):  # signature, confirmation tag, membership tag
        reader.vec()
    return Commit(data[: reader.at], data[reader.at :], epoch, leaf, refs)


def _refs(proposals: bytes) -> tuple[bytes, ...]:
    reader, found = Reader(proposals), []
    while reader.at < len(proposals):
        if reader.number(1) != 2:
            raise MlsError("a proposal that is not by reference")
        found.append(reader.vec())
    return tuple(found)


class Tree:
    """Whose leaf is which, as commits leave it (RFC 9420, 7.7 and 7.8)."""

    def __init__(self) -> None:
        self.leaves: list[int | None] = []
        """Users by leaf; empty while there is no group."""

    @property
    def users(self) -> set[int]:
        return {user for user in self.leaves if user is not None}

    def change(self, gone: list[int], new: list[int]) -> None:
        """Leaves are blanked first, and cut off at the end; then users take places."""
        for leaf in gone:
            self.leaves[leaf] = None
        while self.leaves and self.leaves[-1] is None:
            self.leaves.pop()
        for user in new:
            if None in self.leaves:
                self.leaves[self.leaves.index(None)] = user
            else:
                self.leaves.append(user)


@dataclass(frozen=True, slots=True)
class Proposed:
    """One proposal of ours: the message, and the name that commits call it by."""

    message: bytes
    ref: bytes


@dataclass(frozen=True, slots=True)
class ExternalSender:
    """Discord's part in a group: it proposes who comes and goes."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def package(self) -> bytes:
        """What op 25 carries."""
        point = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return vec(point) + struct.pack(">H", BASIC) + vec(b"fakecord")

    def add(self, group: int, epoch: int, package: bytes) -> Proposed:
        return self._propose(group, epoch, struct.pack(">H", ADD) + package)

    def remove(self, group: int, epoch: int, leaf: int) -> Proposed:
        return self._propose(group, epoch, struct.pack(">HI", REMOVE, leaf))

    def _propose(self, group: int, epoch: int, proposal: bytes) -> Proposed:
        content = (
            vec(group.to_bytes(8, "big"))
            + struct.pack(">QBI", epoch, FROM_OUTSIDE, 0)
            + vec(b"")
            + struct.pack(">B", PROPOSAL)
            + proposal
        )
        wire = struct.pack(">H", PUBLIC_MESSAGE)
        version = struct.pack(">H", MLS_10)
        signed = vec(b"MLS 1.0 FramedContentTBS") + vec(version + wire + content)
        signature = vec(self.key.sign(signed, ec.ECDSA(hashes.SHA256())))
        label = vec(b"MLS 1.0 Proposal Reference")
        ref = hashlib.sha256(label + vec(wire + content + signature)).digest()
        return Proposed(version + wire + content + signature, ref)
