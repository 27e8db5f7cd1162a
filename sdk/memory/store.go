package memory

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

const (
	shards     = 64
	maxHistory = 1000
)

// Store holds accounts by the label of their instance. The zero Store is empty
// and ready for use, by many instances at once. Tests keep one to look at, or
// to prepare, what instances see.
type Store struct {
	mu     sync.Mutex
	labels map[string]*accounts
}

// Put makes or replaces an account of the instances with the label: its state
// as in a, its credentials as in values by kind. Account.MustChange holds for
// all of them.
func (s *Store) Put(label string, a sdk.Account, values map[string]secret.Value) {
	accounts := s.open(label)
	made := &account{status: a.Status, more: &more{about: a}}
	for kind, value := range values {
		credential := made.credential(kind)
		credential.take(accounts.digest(a.Account, kind, value), 0)
		credential.version = accounts.version.Add(1)
		credential.dated(a.ChangedAt)
		credential.must = a.MustChange != nil && *a.MustChange
	}
	sh := accounts.shard(a.Account)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.put(a.Account, made)
}

// Holds reports whether value is the present value of the account's credential.
func (s *Store) Holds(label, name, kind string, value secret.Value) bool {
	accounts := s.open(label)
	sh := accounts.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	account := sh.m[name]
	if account == nil {
		return false
	}
	credential := account.lookup(kind)
	return credential != nil && credential.set && credential.digest == accounts.digest(name, kind, value)
}

// Session logs an account of the instances with the label in, with its present
// value. What it returns tells whether the session is still open; it never was if
// the value is another.
func (s *Store) Session(label, name, kind string, value secret.Value) (open func() bool) {
	if !s.Holds(label, name, kind, value) {
		return func() bool { return false }
	}
	session := new(atomic.Bool)
	session.Store(true)
	sh := s.open(label).shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.m[name].log(session)
	return session.Load
}

// Len returns how many accounts the instances with the label have.
func (s *Store) Len(label string) int { return s.open(label).len() }

// open returns the accounts under the label, making an empty set of them.
func (s *Store) open(label string) *accounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.labels[label]
	if t == nil {
		t = newAccounts()
		if s.labels == nil {
			s.labels = make(map[string]*accounts)
		}
		s.labels[label] = t
	}
	return t
}

// accounts is one target system. Its accounts are spread over shards, so that
// concurrent operations seldom wait for each other.
type accounts struct {
	key     [32]byte // of the digests
	first   uint64   // the stamp of version 0, at random: two processes do not give the same
	version atomic.Uint64
	seedOf  maphash.Seed
	shards  [shards]shard
}

type shard struct {
	mu sync.Mutex
	m  map[string]*account
	_  [40]byte // keeps neighbours off one cache line
}

// put gives the account its place. The name is kept by itself: it may be a piece
// of something larger.
func (s *shard) put(name string, account *account) {
	if _, there := s.m[name]; !there {
		name = strings.Clone(name)
	}
	s.m[name] = account
}

func newAccounts() *accounts {
	made := &accounts{seedOf: maphash.MakeSeed()}
	var first [8]byte
	_, _ = rand.Read(made.key[:]) // never fails: it ends the process instead
	_, _ = rand.Read(first[:])
	made.first = binary.LittleEndian.Uint64(first[:])
	for i := range made.shards {
		made.shards[i].m = make(map[string]*account)
	}
	return made
}

func (t *accounts) shard(name string) *shard {
	return &t.shards[maphash.String(t.seedOf, name)%shards]
}

// seed makes the account unless it is there.
func (t *accounts) seed(name string, status sdk.Status) {
	sh := t.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.m[name] == nil {
		sh.put(name, &account{status: status})
	}
}

func (t *accounts) len() int {
	count := 0
	for i := range t.shards {
		t.shards[i].mu.Lock()
		count += len(t.shards[i].m)
		t.shards[i].mu.Unlock()
	}
	return count
}

// names returns the names of all accounts, sorted.
func (t *accounts) names() []string {
	var names []string
	for i := range t.shards {
		sh := &t.shards[i]
		sh.mu.Lock()
		for name := range sh.m {
			names = append(names, name)
		}
		sh.mu.Unlock()
	}
	slices.Sort(names)
	return names
}

// digest stands for a value. The account and the kind go in, so that equal
// values of two accounts do not look equal.
func (t *accounts) digest(name, kind string, value secret.Value) [32]byte {
	var room [256]byte
	data := append(room[:0], t.key[:]...)
	data = binary.AppendUvarint(data, uint64(len(name)))
	data = append(data, name...)
	data = binary.AppendUvarint(data, uint64(len(kind)))
	data = append(data, kind...)
	data = append(data, value.Reveal()...)
	sum := sha256.Sum256(data)
	clear(data)
	return sum
}

// mark stands for an operation, in 8 bytes; 0: for an absent one.
func (t *accounts) mark(id string) uint64 {
	if id == "" {
		return 0
	}
	return max(1, maphash.String(t.seedOf, id))
}

// stamp tells the versions of a credential apart, in seven characters: a text in
// which no piece of a secret has room is passed on unsearched, at both ends.
func (t *accounts) stamp(credential *credential) string {
	number := t.first
	if credential != nil {
		number += credential.version
	}
	var text [7]byte
	for i := range text {
		text[i] = stampDigits[number%64]
		number /= 64
	}
	return string(text[:])
}

const stampDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"

// account is one principal. Its shard's mutex guards it. There may be millions,
// so it holds no more than each of them needs: see TestBytesOfAnAccount.
type account struct {
	status sdk.Status
	only   credential // of kind ""
	more   *more      // nil: nothing
}

// more is what few accounts have.
type more struct {
	about  sdk.Account // what Put told
	others map[string]*credential
	open   []*atomic.Bool // its sessions
}

// about is what Put told of the account.
func (a *account) about() sdk.Account {
	if a.more == nil {
		return sdk.Account{}
	}
	return a.more.about
}

// log keeps a session.
func (a *account) log(session *atomic.Bool) {
	if a.more == nil {
		a.more = &more{}
	}
	a.more.open = append(a.more.open, session)
}

// endSessions ends those that are open.
func (a *account) endSessions() {
	if a.more == nil {
		return
	}
	for _, session := range a.more.open {
		session.Store(false)
	}
	a.more.open = nil
}

// credential returns the credential of the kind, making an empty one.
func (a *account) credential(kind string) *credential {
	if credential := a.lookup(kind); credential != nil {
		return credential
	}
	if a.more == nil {
		a.more = &more{}
	}
	if a.more.others == nil {
		a.more.others = make(map[string]*credential)
	}
	made := &credential{}
	a.more.others[kind] = made
	return made
}

// lookup returns the credential of the kind, or nil.
func (a *account) lookup(kind string) *credential {
	switch {
	case kind == "":
		return &a.only
	case a.more == nil:
		return nil
	}
	return a.more.others[kind]
}

// verdict is what a logon with the value would come to.
func (a *account) verdict(kind string, digest [32]byte) sdk.Verdict {
	credential := a.lookup(kind)
	switch {
	case a.status != sdk.StatusActive:
		return sdk.Blocked
	case credential == nil || !credential.set || credential.digest != digest:
		return sdk.Rejected
	case credential.must:
		return sdk.AcceptedMustChange
	default:
		return sdk.Accepted
	}
}

// credential is a value that the account can be entered with.
type credential struct {
	digest  [32]byte
	old     [][32]byte // newest first
	op      uint64     // the mark of the operation that gave the value
	version uint64     // 0: never given one
	changed int64      // in nanoseconds after 1970; 0: not known
	set     bool
	must    bool
}

// dated notes when the value was given.
func (c *credential) dated(at time.Time) {
	c.changed = 0
	if !at.IsZero() {
		c.changed = at.UnixNano()
	}
}

// changedAt is when the value was given, zero if unknown.
func (c *credential) changedAt() time.Time {
	if c.changed == 0 {
		return time.Time{}
	}
	return time.Unix(0, c.changed).UTC()
}

// remembers reports whether digest is the present value or one of the newest count
// earlier ones.
func (c *credential) remembers(digest [32]byte, count int) bool {
	return c.set && c.digest == digest || slices.Contains(c.old[:min(count, len(c.old))], digest)
}

// take makes digest the present value and keeps the newest count earlier ones.
func (c *credential) take(digest [32]byte, count int) {
	if c.set && count > 0 {
		c.old = slices.Insert(c.old, 0, c.digest)
		c.old = c.old[:min(count, len(c.old))]
	}
	c.digest, c.set = digest, true
}
