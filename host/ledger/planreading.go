package ledger

import (
	"math"

	"github.com/rekey-host/rekey/host/diag"
)

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
	l, err := logOf(c)
	if err != nil {
		return err
	}
	each := func(at *plannedRow, findable bool) error {
		for ; next < at.pos; next++ {
			p.audit.add(Problem{Index: -1, User: next, Message: "its row of the plan is missing"})
		}
		next = at.pos + 1
		hidden, ok := at.is(&enc, &private)
		if !ok || !findable {
			p.audit.add(Problem{Index: -1, User: at.pos, Key: at.Key, Message: "its row of the plan was changed"})
		}
		p.tree.push(enc.rowLeaf(at.pos, at.Seq, waveAt(p.bounds, at.pos), hidden))
		return nil
	}
	err = l.eachSheet(1, math.MaxInt64, func(s *sheet) error {
		next := 0
		err := s.rows(func(at *plannedRow) error {
			mark := s.keys[min(keyMarkIs*next, len(s.keys)):]
			next++
			return each(at, len(mark) >= keyMarkIs && marked(mark[:keyMarkIs], keyMark(diag.Fold(at.Key))))
		})
		if sum := s.sumOf(names); err == nil && string(sum[:]) != string(s.sum) {
			p.audit.general("plan: what is kept of its rows %d to %d was changed", s.first, s.first+s.n-1)
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.each("SELECT "+planColumns+", fold FROM plan ORDER BY pos", func(found row) error {
		at := plannedOf(found)
		return each(&at, diag.Fold(at.Key) == found.text(7))
	})
}
