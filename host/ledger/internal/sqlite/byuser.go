package sqlite

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/rekey-host/rekey/host/hashlog"
)

// byUser reads records by user. It keeps the groups that it read last: users
// come in order, and the next ones' records are mostly in the same groups.
type byUser struct {
	*records
	sums *hashlog.Encoder // compares records with their sums; nil: unless asked to
	dec  hashlog.Decoder  // for that
	kept []*sorted        // what was used last stands last
	size int
	all  []place // of one reading

	ordered []place // by user
	ends    []int   // of each user's places among them

	listed int64 // records of format 1 in the list of temp.rows; 0 without it
	told   bool  // there is temp.told, which goes with the moment
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

// farApart is how many positions there are for each user where their records are
// read one by one.
const farApart = 4

// many is how many users in no order are read from a list made for them, on
// disk: they are all over the log.
const many = 1000

// together reads the records of users who stand close together.
func (b *byUser) together(users []int64, give func(user int64, records []place) error) error {
	next := 0
	return b.between(users[0], users[len(users)-1], func(user int64, records []place) error {
		for next < len(users) && users[next] < user {
			next++
		}
		if next == len(users) || users[next] != user {
			return nil // not asked for
		}
		return give(user, records)
	})
}

// forget drops the kept groups.
func (b *byUser) forget() { b.kept, b.size = nil, 0 }

// undone takes over that the transaction was undone in which lists may have been
// made.
func (b *byUser) undone() { b.listed, b.told = 0, false }

// tell makes a list of the users that have records, with these.
func (b *byUser) tell() error {
	last, err := b.lastUser()
	if err == nil {
		err = b.conn.run("CREATE TEMP TABLE told (pos INTEGER PRIMARY KEY, body BLOB)")
	}
	if err != nil {
		return err
	}
	b.told = true
	var told hashlog.Group
	for pos := int64(1); pos <= last && err == nil; pos += many {
		err = b.between(pos, pos+many-1, func(user int64, records []place) error {
			told = hashlog.Group{Body: told.Body[:0]}
			for i := range records {
				told.Add(user, records[i].frame)
			}
			_, err := b.conn.exec("INSERT INTO temp.told VALUES (?,?)", user, told.Body)
			return err
		})
	}
	return err
}

// fromTold reads records from the list.
func (b *byUser) fromTold(users []int64, give func(user int64, records []place) error) error {
	for _, user := range users {
		err := b.conn.each("SELECT body FROM temp.told WHERE pos = ?", func(found row) error {
			var records []place
			told := hashlog.Frames{Rest: found.bytes(0)}
			for frame := told.Next(); frame != nil; frame = told.Next() {
				records = append(records, place{frame: frame})
			}
			return give(user, records)
		}, user)
		if err != nil {
			return err
		}
	}
	return nil
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
	if span := g.Hi - g.Lo; err == nil && span < int64(farApart*len(o.places)) {
		o.places = slices.Clone(b.inOrder(o.places, g.Lo, g.Hi))
	} else {
		slices.SortFunc(o.places, place.order)
	}
	return o, err
}

// fits compares a record with its sum, if asked to.
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
	for list := b.inOrder(b.all, first, last); len(list) > 0; {
		n := 1
		for n < len(list) && list[n].user == list[0].user {
			if list[n].id <= list[n-1].id {
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

// inOrder returns places of the users from one to another by user. Each one's
// records stand as in the log, and stay so. What it returns is valid until the next.
func (b *byUser) inOrder(all []place, first, last int64) []place {
	b.ends = append(b.ends[:0], make([]int, last-first+2)...)
	for i := range all {
		b.ends[all[i].user-first+1]++
	}
	for i := 1; i < len(b.ends); i++ {
		b.ends[i] += b.ends[i-1]
	}
	b.ordered = slices.Grow(b.ordered[:0], len(all))[:len(all)]
	for i := range all {
		end := &b.ends[all[i].user-first]
		b.ordered[*end] = all[i]
		*end++
	}
	return b.ordered
}

// reaching selects the groups that may have records of users. Of each class of
// span, as few as there are, it asks the index once.
const reaching = `WITH RECURSIVE class(s) AS (
	SELECT min(span) FROM grp INDEXED BY grp_user
	UNION ALL SELECT (SELECT min(span) FROM grp INDEXED BY grp_user WHERE span > s) FROM class WHERE s IS NOT NULL
) SELECT g.first FROM class CROSS JOIN grp g INDEXED BY grp_user
WHERE g.span = s AND g.lo > ? - (1 << s) AND g.lo <= ? AND g.hi >= ?`

func (b *byUser) ofGroups(first, last int64) error {
	if t, err := b.has(); err != nil || !t.groups {
		return err
	}
	var list []int64
	err := b.conn.each(reaching, func(found row) error {
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
	err := b.eachGroup(first-1, first, func(g *hashlog.Group) (err error) {
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

// ofRows adds the records in the table of format 1: through its index, or a sorted
// list made of it once, on disk.
func (b *byUser) ofRows(first, last int64) error {
	t, err := b.has()
	if err != nil || !t.rows {
		return err
	}
	from, user := "rec r INDEXED BY rec_user", "r.user"
	if !t.byUser {
		if err := b.list(); err != nil {
			return err
		}
		from, user = "temp.rows h CROSS JOIN rec r ON r.id = h.id", "h.user"
	}
	query := fmt.Sprintf("SELECT %s, r.id, r.body FROM %s WHERE %s BETWEEN ? AND ? ORDER BY %s, r.id", user, from, user, user)
	return b.conn.each(query, func(found row) error {
		b.all = append(b.all, place{found.int(0), found.int(1), found.bytes(2)})
		return b.fits(found.bytes(2))
	}, first, last)
}

// list makes the sorted list of the records of format 1. An older rekey may have
// added to them since it was made for this connection.
func (b *byUser) list() error {
	last, err := b.conn.count("SELECT coalesce(max(id), 0) FROM rec")
	if err != nil || last == b.listed {
		return err
	}
	for _, query := range []string{
		"CREATE TEMP TABLE IF NOT EXISTS rows (user INTEGER, id INTEGER, PRIMARY KEY (user, id)) WITHOUT ROWID",
		"DELETE FROM temp.rows",
		"INSERT INTO temp.rows SELECT user, id FROM rec WHERE user > 0 ORDER BY user, id",
	} {
		if err := b.conn.run(query); err != nil {
			return err
		}
	}
	b.listed = last
	return nil
}
