"""DAVE's delivery service for one call: who is in the group, and by which messages.

It is Discord's half of the protocol without its sockets: what members send comes in by
verbs, what they are told goes out to `tell`. One batch of proposals is out at a time;
what changes meanwhile is proposed after the commit that ends it.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from fakecord.entities import Json
from fakecord.mls import (
    ExternalSender,
    MlsError,
    Proposed,
    Tree,
    owner_of,
    read_commit,
    vec,
)

PREPARE_TRANSITION, EXECUTE_TRANSITION, READY, PREPARE_EPOCH = 21, 22, 23, 24
EXTERNAL_SENDER, KEY_PACKAGE, PROPOSALS, COMMIT_WELCOME = 25, 26, 27, 28
COMMIT, WELCOME, INVALID = 29, 30, 31


@dataclass(frozen=True, slots=True)
class Told:
    """One message to one member: bytes are binary frames."""

    user_id: int
    op: int
    body: bytes | Json


@dataclass(slots=True)
class Batch:
    """Proposals that wait for a commit: by reference, who comes or which leaf goes."""

    epoch: int
    committers: set[int]
    """Who may commit: the members, or all who wait where a group is to be founded."""
    founding: bool
    adds: dict[bytes, int] = field(default_factory=dict)
    removes: dict[bytes, int] = field(default_factory=dict)


class Delivery:
    """The group of one channel."""

    def __init__(
        self,
        channel_id: int,
        *,
        tell: Callable[[Told], None],
        on_transition: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.epoch = 0
        self.tree = Tree()
        self.committed: list[int] = []
        """Whose commits have won, in order."""
        self.invalid: list[int] = []
        """Who has sent op 31, in order."""
        self.refused: list[str] = []
        """What was wrong with messages that were not taken."""
        self.late = 0
        """Commits after the one that won; there is nothing wrong with them."""
        self._channel_id = channel_id
        self._sender = ExternalSender()
        self._tell = tell
        self._on_transition = on_transition
        self._present: dict[int, None] = {}
        self._packages: dict[int, bytes] = {}
        self._broken: set[int] = set()
        self._batch: Batch | None = None
        self._transitions = itertools.count(1)
        self._awaited: dict[int, set[int]] = {}

    @property
    def group(self) -> set[int]:
        """Who is in the tree."""
        return self.tree.users

    @property
    def settled(self) -> bool:
        """Nothing is proposed, and nobody is awaited."""
        return self._batch is None and not self._awaited

    # what members do

    def join(self, user_id: int) -> None:
        """Somebody has come, and is told who proposes here."""
        self._present[user_id] = None
        if user_id in self.group:
            # It was away for too short a time: its old leaf is still to be removed.
            self._broken.add(user_id)
        self._tell(Told(user_id, EXTERNAL_SENDER, self._sender.package()))

    def leave(self, user_id: int) -> None:
        self._present.pop(user_id, None)
        self._packages.pop(user_id, None)
        self._broken.discard(user_id)
        for transition in list(self._awaited):
            self.ready(user_id, transition)
        if self._batch is not None:
            self._batch.committers.discard(user_id)
            if not self._batch.committers:
                self._batch = None
        self._propose()

    def take_package(self, user_id: int, package: bytes) -> None:
        """Op 26."""
        try:
            owner = owner_of(package)
        except MlsError as error:
            self.refused.append(f"key package of {user_id}: {error}")
            return
        if owner != user_id or user_id not in self._present:
            self.refused.append(f"key package of {owner} from {user_id}")
            return
        self._packages[user_id] = package
        self._propose()

    def take_commit(self, user_id: int, data: bytes) -> None:
        """Op 28: the first that fits wins, all others come too late."""
        batch = self._batch
        if batch is None or user_id not in batch.committers:
            self.late += 1
            return
        try:
            commit = read_commit(data)
        except MlsError as error:
            self.refused.append(f"commit of {user_id}: {error}")
            return
        known = batch.adds.keys() | batch.removes.keys()
        if commit.epoch != batch.epoch or not known.issuperset(commit.refs):
            self.late += 1
            return
        self._batch = None
        self.committed.append(user_id)
        old = {user_id} if batch.founding else self.group
        if batch.founding:
            self.tree.leaves = [user_id]
            self._packages.pop(user_id, None)
        gone = [batch.removes[ref] for ref in commit.refs if ref in batch.removes]
        new = [batch.adds[ref] for ref in commit.refs if ref in batch.adds]
        old -= {self.tree.leaves[leaf] for leaf in gone}
        self.tree.change(gone, new)
        for user in new:
            self._packages.pop(user, None)
            self._broken.discard(user)
        self.epoch = commit.epoch + 1
        self._announce(old, set(new), commit.message, commit.welcome)
        self._propose()

    def take_invalid(self, user_id: int) -> None:
        """Op 31: the member could not follow; its next key package brings it back."""
        self.invalid.append(user_id)
        if user_id in self.group:
            self._broken.add(user_id)
            self._packages.pop(user_id, None)

    def ready(self, user_id: int, transition: int) -> None:
        """Op 23."""
        awaited = self._awaited.get(transition, set())
        awaited.discard(user_id)
        if transition in self._awaited and not awaited:
            self.execute(transition)

    def execute(self, transition: int) -> None:
        """Everybody goes over to the new keys, ready or not."""
        if self._awaited.pop(transition, None) is not None:
            for user in self._present:
                body = {"transition_id": transition}
                self._tell(Told(user, EXECUTE_TRANSITION, body))

    # what Discord decides

    def downgrade(self) -> None:
        """Somebody without DAVE has come: all go over to plain voice."""
        transition = next(self._transitions)
        body = {"transition_id": transition, "protocol_version": 0}
        self._awaited[transition] = set(self._present)
        for user in self._present:
            self._tell(Told(user, PREPARE_TRANSITION, body))
        self._on_transition(transition)

    def upgrade(self) -> None:
        """All can do it again: a new group is founded."""
        self._start_anew()

    # what follows from it

    def _announce(
        self, old: set[int], new: set[int], message: bytes, welcome: bytes
    ) -> None:
        transition = next(self._transitions)
        number = struct.pack(">H", transition)
        told = (old | new) & self._present.keys()
        for user in sorted(told):
            fresh = user in new
            op, body = (WELCOME, welcome) if fresh else (COMMIT, message)
            self._tell(Told(user, op, number + body))
        self._awaited[transition] = told
        self._on_transition(transition)

    def _propose(self) -> None:
        """Send out what the group lacks, unless a batch is still out."""
        if self._batch is not None:
            return
        if self.tree.leaves and len(self._present) < 2:
            self._dissolve()
        staying = self.group & self._present.keys()
        able = {u for u in staying if u not in self._broken}
        if self.tree.leaves and not able:
            self.tree, self.epoch = Tree(), 0
            self._broken.clear()
        batch = self._change(able) if self.tree.leaves else self._founding()
        if batch is not None:
            self._batch = batch

    def _start_anew(self) -> None:
        """The group is no more; whoever is there sends a fresh key package."""
        self.tree, self.epoch, self._batch = Tree(), 0, None
        self._broken.clear()
        for user in self._present:
            self._packages.pop(user, None)
            epoch = {"epoch": 1, "protocol_version": 1, "transition_id": 0}
            self._tell(Told(user, PREPARE_EPOCH, epoch))

    def _dissolve(self) -> None:
        """One is left alone."""
        self._start_anew()
        for user in self._present:
            transition = {"transition_id": 0, "protocol_version": 1}
            self._tell(Told(user, PREPARE_TRANSITION, transition))

    def _founding(self) -> Batch | None:
        """All who wait are proposed to each other; the first commit founds it."""
        pending = [user for user in self._present if user in self._packages]
        if len(pending) < 2:
            return None
        batch = Batch(0, set(pending), founding=True)
        adds = {user: self._add(batch, user) for user in pending}
        for user in pending:
            self._send(user, [adds[other] for other in pending if other != user])
        return batch

    def _change(self, able: set[int]) -> Batch | None:
        batch = Batch(self.epoch, set(able), founding=False)
        returning = {user for user in self._broken if user in self._packages}
        proposed = []
        for leaf, user in enumerate(self.tree.leaves):
            if user is not None and (user not in self._present or user in returning):
                made = self._sender.remove(self._channel_id, self.epoch, leaf)
                batch.removes[made.ref] = leaf
                proposed.append(made)
        coming = [
            user
            for user in self._present
            if user in self._packages
            and (user in returning or user not in self.tree.leaves)
        ]
        proposed += [self._add(batch, user) for user in coming]
        if not proposed:
            return None
        for user in able:
            self._send(user, proposed)
        return batch

    def _add(self, batch: Batch, user: int) -> Proposed:
        package = self._packages[user]
        made = self._sender.add(self._channel_id, batch.epoch, package)
        batch.adds[made.ref] = user
        return made

    def _send(self, user: int, proposed: list[Proposed]) -> None:
        messages = b"".join(one.message for one in proposed)
        self._tell(Told(user, PROPOSALS, b"\0" + vec(messages)))
