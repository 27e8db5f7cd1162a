package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// A row of the plan is one leaf of the plan's tree:
//
//	public  = version pos seq wave
//	private = key reason cells
//	leaf    = tlog.RecordHash(public || SHA-256(salt || private))
//	cells   = SHA-256(salt' || row)
//	salt, salt' = halves of SHA-256("rekey row salt" || key of the run || seq)
//
// pos, seq and the last seq are 8 bytes big-endian, wave is 4, all ones if the
// plan skips the user; key, reason and cells have an unsigned varint length
// before them. So a proof can show who without showing what the source says
// of them.

// rowPublicSize is the length of the public part.
const rowPublicSize = 1 + 8 + 8 + 4

func appendRowPublic(b []byte, pos, seq int64, wave int) []byte {
	b = append(b, frameVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(pos))
	b = binary.BigEndian.AppendUint64(b, uint64(seq))
	return binary.BigEndian.AppendUint32(b, uint32(int32(wave)))
}

// appendRowPrivate appends the private part.
func (k *namesKey) appendRowPrivate(b []byte, seq int64, key, reason string, row []byte) []byte {
	_, salt := k.rowSalts(seq)
	h := sha256.New()
	h.Write(salt[:])
	h.Write(row)
	var cells [32]byte
	h.Sum(cells[:0])
	return appendString(appendString(appendString(b, key), reason), cells[:])
}

// hideRow returns the commitment to a row's private part.
func (e *encoder) hideRow(memory *[]byte, p *PlannedUser) [32]byte {
	*memory = e.key.appendRowPrivate((*memory)[:0], p.Seq, p.Key, p.Reason, p.Row)
	salt, _ := e.key.rowSalts(p.Seq)
	return e.commitment(salt, *memory)
}

func (e *encoder) rowLeaf(pos, seq int64, wave int, hidden [32]byte) tlog.Hash {
	var b [rowPublicSize]byte
	return e.leafOf(appendRowPublic(b[:0], pos, seq, wave), hidden)
}

// planDigest is how the Planned record names the plan: how many rows, and the
// root over them.
func planDigest(total int64, root tlog.Hash) string { return fmt.Sprintf("%d:%s", total, root) }

// parsePlanDigest takes planDigest apart.
func parsePlanDigest(s string) (total int64, root tlog.Hash, err error) {
	var text string
	if _, err := fmt.Sscanf(s, "%d:%s", &total, &text); err != nil {
		return 0, root, fmt.Errorf("digest of the plan: %q", s)
	}
	root, err = tlog.ParseHash(text)
	return total, root, err
}

// parseRowPublic reads what appendRowPublic wrote.
func parseRowPublic(b []byte) rowView {
	return rowView{
		Pos:  int64(binary.BigEndian.Uint64(b[1:])),
		Seq:  int64(binary.BigEndian.Uint64(b[9:])),
		Wave: int(int32(binary.BigEndian.Uint32(b[17:]))),
	}
}
