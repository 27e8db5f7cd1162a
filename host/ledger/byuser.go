package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/host/hashlog"
)

// byUser reads records by user. It keeps the groups that it read last: users
// come in order, and the next ones' records are mostly in the same groups.
type byUser struct {
	log  *log
	sums *hashlog.Encoder // compares what is read with its sums; nil: nobody asked
	dec  hashlog.Decoder  // for that
	kept []*sorted        // what was used last stands last
	size int
	all  []place // of one reading
}

// maxKept is how many bytes of groups are kept.
const maxKept = 4 << 20

// sorted is a group of which it is known where in it the records of each user
// are.
type sorted struct {
	hashlog.Group
	places []place // by user, then as in the log
}

// place is where a record is.
type place struct {
	user  int64
	id    int64
	frame []byte
}

// placeSize is how much memory a place takes.
const placeSize = 40

func (o *sorted) memory() int { return len(o.Body) + placeSize*len(o.places) }

// order is by user, then as in the log.
func (p place) order(q place) int {
	return cmp.Or(cmp.Compare(p.user, q.user), cmp.Compare(p.id, q.id))
}

// open finds the records of users in a group.
func (b *byUser) open(g *hashlog.Group) (*sorted, error) {
	if err := g.AsListed(); err != nil {
		return nil, err
	}
	o := &sorted{Group: *g, places: make([]place, 0, g.N)}
	err := g.Each(func(r *hashlog.Stored) error {
		if r.User > 0 {
			o.places = append(o.places, place{r.User, r.ID, r.Body})
		}
		return b.fits(r.Body)
	})
	if !slices.IsSortedFunc(o.places, place.order) {
		slices.SortFunc(o.places, place.order)
	}
	return o, err
}

// fits compares a record with its sum, where that is asked for.
func (b *byUser) fits(frame []byte) error {
	if b.sums == nil {
		return nil
	}
	f, err := b.dec.Split(frame)
	if err != nil {
		return err
	}
	return b.sums.Fits(&f, frame)
}

// between calls fn for the users from one to another that have records, with
// these, in order.
func (b *byUser) between(first, last int64, fn func(user int64, records []place) error) error {
	b.all = b.all[:0]
	if err := b.ofRows(first, last); err != nil {
		return err
	}
	if err := b.ofGroups(first, last); err != nil {
		return err
	}
	if !slices.IsSortedFunc(b.all, place.order) {
		slices.SortFunc(b.all, place.order)
	}
	for list := b.all; len(list) > 0; {
		n := 1
		for n < len(list) && list[n].user == list[0].user {
			if list[n].id == list[n-1].id {
				return hashlog.NotAsWritten("record %d is there twice", list[n].id-1)
			}
			n++
		}
		if err := fn(list[0].user, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// reaching selects the groups that may have records of users. Of each class of
// span, as few as there are, it asks the index once.
const reaching = `WITH RECURSIVE class(s) AS (
	SELECT min(span) FROM grp INDEXED BY grp_user
	UNION ALL SELECT (SELECT min(span) FROM grp INDEXED BY grp_user WHERE span > s) FROM class WHERE s IS NOT NULL
) SELECT g.first FROM class CROSS JOIN grp g INDEXED BY grp_user
WHERE g.span = s AND g.lo > ? - (1 << s) AND g.lo <= ? AND g.hi >= ?`

func (b *byUser) ofGroups(first, last int64) error {
	if !b.log.groups {
		return nil
	}
	var list []int64
	err := b.log.c.each(reaching, func(found row) error {
		list = append(list, found.int(0))
		return nil
	}, first, last, first)
	if err != nil {
		return err
	}
	slices.Sort(list)
	for _, id := range list {
		o, err := b.group(id)
		if err != nil {
			return err
		}
		at, _ := slices.BinarySearchFunc(o.places, place{user: first}, place.order)
		for ; at < len(o.places) && o.places[at].user <= last; at++ {
			b.all = append(b.all, o.places[at])
		}
	}
	return nil
}

// group returns a group, from memory if it is there.
func (b *byUser) group(first int64) (*sorted, error) {
	for i, o := range b.kept {
		if o.First == first {
			b.kept = append(slices.Delete(b.kept, i, i+1), o)
			return o, nil
		}
	}
	var o *sorted
	err := b.log.eachGroup(first-1, first, func(g *hashlog.Group) (err error) {
		o, err = b.open(g)
		return err
	})
	if err == nil && o == nil {
		err = hashlog.NotAsWritten("the records from %d on are missing", first-1)
	}
	if err != nil {
		return nil, err
	}
	b.keep(o)
	return o, nil
}

// keep keeps a group instead of those that were not used for longest.
func (b *byUser) keep(o *sorted) {
	b.kept = append(b.kept, o)
	b.size += o.memory()
	for b.size > maxKept && len(b.kept) > 1 {
		b.size -= b.kept[0].memory()
		b.kept[0] = nil
		b.kept = b.kept[1:]
	}
}

// ofRows adds what is in the table of format 1: through its index, or a sorted
// list that is made of it once, on disk.
func (b *byUser) ofRows(first, last int64) error {
	if !b.log.rows {
		return nil
	}
	from, user := "rec r INDEXED BY rec_user", "r.user"
	if !b.log.byUser {
		if err := b.log.list(); err != nil {
			return err
		}
		from, user = "temp.rows h CROSS JOIN rec r ON r.id = h.id", "h.user"
	}
	query := fmt.Sprintf("SELECT %s, r.id, r.body FROM %s WHERE %s BETWEEN ? AND ? ORDER BY %s, r.id", user, from, user, user)
	return b.log.c.each(query, func(found row) error {
		b.all = append(b.all, place{found.int(0), found.int(1), found.bytes(2)})
		return b.fits(found.bytes(2))
	}, first, last)
}

// list makes the sorted list of the records of format 1. An older rekey may have
// added to them since it was made for this connection.
func (l *log) list() error {
	last, err := l.c.count("SELECT coalesce(max(id), 0) FROM rec")
	if err != nil || last == l.c.listed {
		return err
	}
	for _, query := range []string{
		"CREATE TEMP TABLE IF NOT EXISTS rows (user INTEGER, id INTEGER, PRIMARY KEY (user, id)) WITHOUT ROWID",
		"DELETE FROM temp.rows",
		"INSERT INTO temp.rows SELECT user, id FROM rec WHERE user > 0 ORDER BY user, id",
	} {
		if err := l.c.run(query); err != nil {
			return err
		}
	}
	l.c.listed = last
	return nil
}
