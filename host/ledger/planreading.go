package ledger

import "github.com/rekey-host/rekey/host/diag"

// planReading hashes the rows of a plan while the log is read: they never change,
// and there are as many as the log has users.
type planReading struct {
	bounds []waveRow
	tree   frontier
	audit  Audit // only its problems
	err    error
	done   chan struct{}
}

// readPlan begins to read the plan of a run.
func (s *Store) readPlan(id string, names namesKey, bounds []waveRow) *planReading {
	p := &planReading{bounds: bounds, tree: frontier{keeps: true}, audit: Audit{OK: true}, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		c, err := s.openReader(s.runFile(id))
		if err != nil {
			p.err = err
			return
		}
		defer c.close()
		p.err = p.read(c, &names)
	}()
	return p
}

// wait waits for the end of the reading; of none it does not wait.
func (p *planReading) wait() {
	if p != nil {
		<-p.done
	}
}

func (p *planReading) read(c *conn, names *namesKey) error {
	enc, private := encoder{key: names}, []byte(nil)
	next := int64(1)
	return c.each("SELECT pos, seq, key, fold, row, reason, digest FROM plan ORDER BY pos", func(found row) error {
		pos := found.int(0)
		for ; next < pos; next++ {
			p.audit.add(Problem{Index: -1, User: next, Message: "its row of the plan is missing"})
		}
		next = pos + 1
		planned := PlannedUser{Seq: found.int(1), Key: found.text(2), Row: found.bytes(4), Reason: found.text(5)}
		hidden := enc.hideRow(&private, &planned)
		if string(hidden[:]) != string(found.bytes(6)) || diag.Fold(planned.Key) != found.text(3) {
			p.audit.add(Problem{Index: -1, User: pos, Key: planned.Key, Message: "its row of the plan was changed"})
		}
		p.tree.push(enc.rowLeaf(pos, planned.Seq, waveAt(p.bounds, pos), hidden))
		return nil
	})
}
