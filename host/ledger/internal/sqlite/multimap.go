package sqlite

// Multimap is numbers by numbers, on disk: there may be millions. It goes with its
// closing.
type Multimap struct{ conn *conn }

// newMultimap makes one and fills it by calls of add, in the directory for temporary
// files of whoever reads the database at a path.
func newMultimap(path, temp string, fill func(add func(key, value int64) error) error) (*Multimap, error) {
	c, err := openReader(path, temp)
	if err != nil {
		return nil, err
	}
	err = c.run("CREATE TEMP TABLE number (k INTEGER, v INTEGER, PRIMARY KEY (k, v)) WITHOUT ROWID")
	if err == nil {
		err = c.run("BEGIN")
	}
	if err == nil {
		err = fill(func(key, value int64) error {
			_, err := c.exec("INSERT OR IGNORE INTO temp.number VALUES (?,?)", key, value)
			return err
		})
	}
	if err == nil {
		err = c.run("COMMIT")
	}
	if err != nil {
		_ = c.close()
		return nil, err
	}
	return &Multimap{c}, nil
}

// Of returns the values of a key.
func (m *Multimap) Of(key int64) (list []int64, err error) {
	err = m.conn.each("SELECT v FROM temp.number WHERE k = ?", func(found row) error {
		list = append(list, found.int(0))
		return nil
	}, key)
	return list, err
}

// Close gives it up.
func (m *Multimap) Close() error { return m.conn.close() }
