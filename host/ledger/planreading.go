package ledger

import (
	"math"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/hashlog"
)

// planReading hashes the rows of a plan while the log is read: they never change,
// and there are as many as the log has users.
type planReading struct {
	bounds []hashlog.Wave
	tree   hashlog.Frontier
	audit  hashlog.Audit // only its problems
	err    error
	done   chan struct{}
}

// wait waits for the end of the reading; of none it does not wait.
func (p *planReading) wait() {
	if p != nil {
		<-p.done
	}
}

func (p *planReading) read(c storage, names *hashlog.NamesKey) error {
	enc, private := hashlog.Encoder{Key: names}, []byte(nil)
	next := int64(1)
	each := func(at *hashlog.PlannedRow) error {
		for ; next < at.Pos; next++ {
			p.audit.Add(hashlog.Problem{Index: -1, User: next, Message: "its row of the plan is missing"})
		}
		next = at.Pos + 1
		hidden, ok := at.Is(&enc, &private)
		if !ok || !at.Findable(diag.Fold(at.Key)) {
			p.audit.Add(hashlog.Problem{Index: -1, User: at.Pos, Key: at.Key, Message: "its row of the plan was changed"})
		}
		p.tree.Push(enc.RowLeaf(at.Pos, at.Seq, hashlog.WaveAt(p.bounds, at.Pos), hidden))
		return nil
	}
	return c.Sheets(math.MinInt64, math.MaxInt64, func(s *hashlog.Sheet) error {
		err := s.Rows(each)
		if err == nil && s.Loose == nil && !s.Sound(&enc) {
			p.audit.General("plan: what is kept of its rows %d to %d was changed", s.First, s.First+s.N-1)
		}
		return err
	})
}
