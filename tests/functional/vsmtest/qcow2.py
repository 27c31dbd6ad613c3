"""A reader of qcow2's snapshot table, to damage stored state on purpose.

It finds where a snapshot's vmstate lies in the image file, so that a test
can change one byte behind QEMU's back, as an attacker with the disk would.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import dataclasses
import hashlib
import os
import re
import struct

MAGIC = 0x514649fb
OFFSET_MASK = 0x00fffffffffffe00
COMPRESSED = 1 << 62
EXTENDED_L2 = 1 << 4    # an incompatible feature, of version 3
SUBCLUSTERS = 32        # of a cluster then
PAGE_RECORD = re.compile(rb"\0\0\0\0..[\x00-\xf0]\x28", re.DOTALL)


@dataclasses.dataclass
class Entry:
    """One entry of the snapshot table."""
    id: str
    name: str
    l1_offset: int
    l1_size: int
    vmstate_bytes: int
    disk_bytes: int
    at: int            # offset of the entry in the file
    name_at: int       # offset of its name


class Image:
    """An image file as it is when the object is made; never locked."""

    def __init__(self, path):
        self.path = str(path)
        self._file = None
        header = self.read(0, 104)
        (magic, self.version, _, _, self.cluster_bits, self.size, _,
         self.l1_size, self.l1_offset, _, _, self.n_snapshots,
         self.snapshots_offset) = struct.unpack(">IIQIIQIIQQIIQ", header[:72])
        assert magic == MAGIC, f"{path} is no qcow2 image"
        features, = struct.unpack(">Q", header[72:80])
        self.extended_l2 = bool(self.version >= 3 and features & EXTENDED_L2)
        self.l2_bits = self.cluster_bits - (4 if self.extended_l2 else 3)

    def read(self, offset, count):
        if self._file is None:
            self._file = open(self.path, "rb", buffering=0)
        return os.pread(self._file.fileno(), count, offset)

    def write(self, offset, data):
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(data)

    def entries(self):
        """The snapshot table."""
        found = []
        at = self.snapshots_offset
        for _ in range(self.n_snapshots):
            (l1_offset, l1_size, id_bytes, name_bytes, _, _, _, small,
             extra) = struct.unpack(">QIHHIIQII", self.read(at, 40))
            large, disk_bytes = small, self.size
            if extra >= 16:
                large, disk_bytes = struct.unpack(">QQ",
                                                  self.read(at + 40, 16))
            text = self.read(at + 40 + extra, id_bytes + name_bytes)
            found.append(Entry(text[:id_bytes].decode(),
                               text[id_bytes:].decode(), l1_offset, l1_size,
                               large, disk_bytes, at,
                               at + 40 + extra + id_bytes))
            at += (40 + extra + id_bytes + name_bytes + 7) & ~7
        return found

    def entry(self, name):
        """The newest entry of that name."""
        for entry in reversed(self.entries()):
            if entry.name == name:
                return entry
        raise AssertionError(f"{self.path} has no snapshot '{name}'")

    def _at(self, l1_offset, where):
        """File offset of a byte under an L1 table; None if unallocated."""
        reach = 1 << (self.cluster_bits + self.l2_bits)
        l1_entry, = struct.unpack(">Q", self.read(
            l1_offset + 8 * (where // reach), 8))
        if not l1_entry & OFFSET_MASK:
            return None
        l2_index = (where >> self.cluster_bits) & ((1 << self.l2_bits) - 1)
        within = where & ((1 << self.cluster_bits) - 1)
        l2_entry = self._l2_entry(l1_entry & OFFSET_MASK, l2_index, within)
        assert not l2_entry & COMPRESSED
        if not l2_entry & OFFSET_MASK or l2_entry & 1:
            return None
        return (l2_entry & OFFSET_MASK) + within

    def _l2_entry(self, table, index, within):
        """That of the cluster; 0 if the byte in it is not allocated."""
        if not self.extended_l2:
            return struct.unpack(">Q", self.read(table + 8 * index, 8))[0]
        l2_entry, bitmap = struct.unpack(">QQ", self.read(table + 16 * index,
                                                          16))
        subcluster = within * SUBCLUSTERS >> self.cluster_bits
        return l2_entry if bitmap >> subcluster & 1 else 0

    def vmstate_at(self, entry, offset):
        """File offset of a byte of the vmstate; None if unallocated."""
        reach = 1 << (self.cluster_bits + self.l2_bits)
        behind = -(-entry.disk_bytes // reach) * reach
        return self._at(entry.l1_offset, behind + offset)

    def guest_sum(self):
        """SHA-256 of what the guest sees: size, and all that is not zero."""
        cluster = 1 << self.cluster_bits
        digest = hashlib.sha256(b"%d" % self.size)
        for where in range(0, self.size, cluster):
            at = self._at(self.l1_offset, where)
            if at is None:
                continue
            data = self.read(at, min(cluster, self.size - where))
            data = data.rstrip(b"\0")       # the file may end in a cluster
            if data:
                digest.update(b"%d+%d:" % (where, len(data)) + data)
        return digest.hexdigest()

    def vmstate(self, entry):
        """All bytes of the vmstate."""
        cluster = 1 << self.cluster_bits
        parts = []
        for offset in range(0, entry.vmstate_bytes, cluster):
            count = min(cluster, entry.vmstate_bytes - offset)
            at = self.vmstate_at(entry, offset)
            parts.append(self.read(at, count) if at is not None
                         else bytes(count))
        return b"".join(parts)

    def flip(self, name, offset, mask=0x01):
        """Flips a bit of the vmstate; returns the file offset."""
        at = self.vmstate_at(self.entry(name), offset)
        assert at is not None, f"vmstate offset {offset} is not allocated"
        self.write(at, bytes([self.read(at, 1)[0] ^ mask]))
        return at

    def ram_page(self, name):
        """Vmstate offset in the body of some RAM page of the snapshot.

        A page's record begins with its address and the flag PAGE (0x08);
        the one sought continues the block of the page before it (0x20),
        so that its 4096 bytes begin right after the 8 of the record.
        """
        state = self.vmstate(self.entry(name))
        address = struct.Struct(">Q")
        for match in PAGE_RECORD.finditer(state, len(state) // 3):
            at = match.start()
            if at + 4112 > len(state):
                break
            first, = address.unpack_from(state, at)
            second, = address.unpack_from(state, at + 4104)
            if second == first + 4096:
                return at + 8 + 100
        raise AssertionError(f"no RAM page in the vmstate of '{name}'")

    def section(self, name, idstr):
        """Vmstate offset just behind the header of a device section."""
        state = self.vmstate(self.entry(name))
        text = idstr.encode()
        at = state.rfind(bytes([len(text)]) + text)
        assert at >= 0, f"no section {idstr} in the vmstate of '{name}'"
        return at + 1 + len(text) + 8
