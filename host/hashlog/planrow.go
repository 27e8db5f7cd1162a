package hashlog

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Row is what the plan says of one user. It is one leaf of the plan's tree:
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
type Row struct {
	Seq    int64  // number of the row in the source, from 1
	Line   int    // where it stands there; not hashed
	Key    string // of the user
	Cells  []byte // opaque here
	Reason string // why the plan skips the user
}

// PlannedRow is a row at its place, as it is stored.
type PlannedRow struct {
	Row
	Pos int64  // place in the plan, from 1
	Sum []byte // of what hides the row: its first bytes, or all

	Listed string // its folded key, by which it is found: of a row on no sheet
	mark   []byte // what a sheet keeps of it instead
}

// Findable reports whether the row is found by a key, which is folded.
func (p *PlannedRow) Findable(fold string) bool {
	if p.mark == nil {
		return p.Listed == fold
	}
	return Marked(p.mark, SheetMark(fold))
}

// Is reports whether the row is what was frozen, and returns what hides it.
func (p *PlannedRow) Is(enc *Encoder, private *[]byte) (hidden [32]byte, ok bool) {
	hidden = enc.HideRow(private, &p.Row)
	return hidden, len(p.Sum) >= sumSize && string(hidden[:min(len(p.Sum), len(hidden))]) == string(p.Sum)
}

// rowPublicSize is the length of the public part.
const rowPublicSize = 1 + 8 + 8 + 4

func appendRowPublic(b []byte, pos, seq int64, wave int) []byte {
	b = append(b, frameVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(pos))
	b = binary.BigEndian.AppendUint64(b, uint64(seq))
	return binary.BigEndian.AppendUint32(b, uint32(int32(wave)))
}

// PlanDigest is how the Planned record names the plan: how many rows, and the
// root over them.
func PlanDigest(total int64, root Hash) string { return fmt.Sprintf("%d:%s", total, root) }

// ParsePlanDigest takes PlanDigest apart.
func ParsePlanDigest(s string) (total int64, root Hash, err error) {
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

// Wave is one wave of a frozen plan: the positions from First to Last.
type Wave struct {
	Name        string
	First, Last int64
}

// Size returns how many users the wave has.
func (w Wave) Size() int64 { return w.Last - w.First + 1 }

// WaveAt returns the index of the wave of a position, -1 behind the last.
func WaveAt(bounds []Wave, pos int64) int {
	for i, w := range bounds {
		if pos >= w.First && pos <= w.Last {
			return i
		}
	}
	return -1
}
