package ledger

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// catalog finds runs by their names.
type catalog struct {
	*stateDir
	store *Store
}

// newID makes a name that no run has, and takes its lock.
func (s *catalog) newID() (string, *lock, error) {
	for range 1000 {
		var b [5]byte
		if _, err := io.ReadFull(s.rand, b[:]); err != nil {
			return "", nil, err
		}
		for i := range b {
			b[i] = letters[int(b[i])%len(letters)]
		}
		id := "r" + string(b[:])
		if files.Exists(s.runFile(id)) || files.Exists(s.lockFile(id)) {
			continue
		}
		l, err := takeLock(s.lockFile(id))
		var held *LockedError
		if errors.As(err, &held) {
			continue
		}
		return id, l, err
	}
	return "", nil, errors.New("state directory: no free name for a run")
}

// ids returns the names of all runs, sorted.
func (s *catalog) ids() ([]string, error) {
	entries, err := os.ReadDir(s.runs())
	if err != nil {
		return nil, err
	}
	var list []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), ".db"); ok && validID.MatchString(id) {
			list = append(list, id)
		}
	}
	return list, nil
}

// Resolve returns the run that a name means: a run's own, a beginning of it
// that no other run shares, or "last", the newest run of this OS user.
func (s *catalog) Resolve(name string) (string, error) {
	list, err := s.ids()
	if err != nil {
		return "", err
	}
	if name == "last" {
		return s.last()
	}
	var found []string
	for _, id := range list {
		if id == name {
			return id, nil
		}
		if name != "" && strings.HasPrefix(id, name) {
			found = append(found, id)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", notFound(name, list)
	default:
		return "", fmt.Errorf("run %q could be %s", name, strings.Join(found, " or "))
	}
}

func (s *catalog) last() (string, error) {
	list, err := s.Runs()
	if err != nil {
		return "", err
	}
	for _, r := range list {
		if r.Header.OSUser == s.osUser {
			return r.Header.ID, nil
		}
	}
	var nobodys []string // whose header is lost
	for _, r := range list {
		if r.Err != nil && r.Header.OSUser == "" {
			nobodys = append(nobodys, r.Header.ID)
		}
	}
	switch len(nobodys) {
	case 0:
	case 1:
		return nobodys[0], nil
	default:
		return "", fmt.Errorf("last could be run %s, none of which can be read; name the run", strings.Join(nobodys, " or "))
	}
	return "", fmt.Errorf("%w: %s has not run anything here yet", ErrNoRun, s.osUser)
}

// ResolveToApply is Resolve for a command that changes something. "last" has to
// be certain: a run that cannot be read, and was written to after the newest
// one that can was made, may be the one meant, and that another run is
// finished would be taken for its end.
func (s *catalog) ResolveToApply(name string) (string, error) {
	id, err := s.Resolve(name)
	if err != nil || name != "last" {
		return id, err
	}
	list, err := s.Runs()
	if err != nil {
		return "", err
	}
	var made time.Time
	for _, r := range list {
		if r.Header.ID == id {
			made = r.Header.Created
		}
	}
	return id, s.noneNewer(id, made, list)
}

// noneNewer returns an error if another run than that one cannot be read, and was
// written to after a time.
func (s *catalog) noneNewer(id string, made time.Time, list []Summary) error {
	for _, r := range list {
		if r.Err == nil || r.Header.ID == id || !r.Header.Created.IsZero() {
			continue
		}
		info, err := os.Lstat(s.runFile(r.Header.ID))
		if err == nil && info.ModTime().After(made) {
			return fmt.Errorf("last could be run %s, which cannot be read: %w; name the run, rekey runs lists them", r.Header.ID, r.Err)
		}
	}
	return nil
}

// Runs returns all runs, newest first. A run that cannot be read is listed
// last, with the reason.
func (s *catalog) Runs() ([]Summary, error) {
	ids, err := s.ids()
	if err != nil {
		return nil, err
	}
	list := make([]Summary, 0, len(ids))
	for _, id := range ids {
		list = append(list, s.summary(id))
	}
	slices.SortStableFunc(list, func(a, b Summary) int {
		return b.Header.Created.Compare(a.Header.Created)
	})
	return list, nil
}

func (s *catalog) summary(id string) Summary {
	r, err := s.store.Read(id)
	if err != nil {
		return Summary{Header: s.headerOf(id, err), Err: err}
	}
	defer r.Close()
	out := Summary{Header: r.Header()}
	out.Header.ScriptText, out.Header.Modules = nil, nil
	if out.State, err = r.State(); err == nil {
		out.Counts, err = r.Counts()
	}
	out.Err = err
	return out
}

// headerOf is what there is of the header of a run that cannot be read: which
// run is the last does not depend on what was damaged.
func (s *catalog) headerOf(id string, why error) Header {
	if !Damaged(why) {
		return Header{ID: id}
	}
	r, err := s.store.Rest(id)
	if err != nil {
		return Header{ID: id}
	}
	defer r.Close()
	head := r.Header()
	head.ScriptText, head.Modules = nil, nil
	return head
}
