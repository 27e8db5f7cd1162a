package ldap

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/rekey-host/rekey/plugins/ldap/internal/ldapwire"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/health"
)

// server is one directory as the settings describe it, and the connections to
// it. It asks and reads; what an entry means to rekey it does not know.
type server struct {
	settings
	login  *login
	admin  *pool // bound as the service account
	guests *pool // bound as anybody: to prove values
	pin    *pin
	ds     atomic.Pointer[bool] // what is389 has found out
	lifted lifted
	shown  health.Witness // what the directory showed of itself
	now    func() time.Time
}

func newServer(settings settings, now func() time.Time) *server {
	made := &server{settings: settings, now: now, pin: &pin{wanted: settings.mode == modeAD}, login: newLogin(settings.bindDN, settings.passwords, settings.directory, now)}
	made.shown.Watch(settings.dialer.tls)
	made.login.external, made.login.where = settings.external, made.place()
	made.admin = newPool(settings.concurrency, func(ctx context.Context) (*conn, *sdk.Error) {
		link, failed := made.connect(ctx)
		if failed != nil {
			return nil, failed
		}
		if failed := made.login.bind(ctx, link); failed != nil {
			link.broken = true
			link.close()
			return nil, failed
		}
		return link, nil
	})
	made.guests = newPool(settings.concurrency, made.connect)
	return made
}

func (s *server) place() place { return place{dialer: s.dialer, now: s.now} }

func (s *server) connect(ctx context.Context) (*conn, *sdk.Error) {
	for {
		where := s.place()
		where.address = s.pin.at(where.address)
		link, err := where.dial(ctx)
		if err != nil {
			return nil, where.fault(err)
		}
		kept, err := s.pin.keep(ctx, link)
		if kept {
			return link, nil
		}
		link.broken = true
		link.close()
		if err != nil {
			return nil, where.dropped(err)
		}
	}
}

func (s *server) close() {
	s.admin.close()
	s.guests.close()
}

// self is the entry of the service account, nil if the server does not tell.
func (s *server) self(ctx context.Context) (*goldap.DN, *sdk.Error) {
	if dn := s.login.self.Load(); dn != nil {
		return dn, nil
	}
	// It is found at the first logon.
	if failed := s.admin.use(ctx, func(*conn) error { return nil }); failed != nil {
		return nil, failed.err
	}
	return s.login.self.Load(), nil
}

// query runs a search. It changes nothing, so a connection that is lost is
// replaced once.
func (s *server) query(ctx context.Context, search ldapwire.Search, yield func(entry)) (result, *sdk.Error) {
	for try := 0; ; try++ {
		var entries []entry
		var reply result
		failed := s.admin.use(ctx, func(link *conn) (err error) {
			entries = nil
			_, reply, err = link.search(ctx, search, nil, func(item entry) error {
				entries = append(entries, item)
				return nil
			})
			link.broken = link.broken || err == nil && reply.loggedOut()
			return err
		})
		if again := failed != nil && failed.sent || failed == nil && reply.loggedOut(); again && try == 0 && ctx.Err() == nil {
			continue
		}
		if failed != nil {
			return result{}, reading(failed)
		}
		for _, entry := range entries {
			yield(entry)
		}
		return reply, nil
	}
}

// read returns one entry.
func (s *server) read(ctx context.Context, dn string, attributes []string) (entry, *sdk.Error) {
	var found []entry
	made := ldapwire.Search{Base: dn, Scope: ldapwire.ScopeBase, Filter: ldapwire.FilterPresent("objectClass"), Attributes: attributes}
	result, failed := s.query(ctx, made, func(item entry) { found = append(found, item) })
	switch {
	case failed != nil:
		return entry{}, failed
	case result.Code == resultNoSuchObject, result.Code == resultSuccess && len(found) == 0:
		return entry{}, &sdk.Error{Code: sdk.AccountNotFound, Native: result.native(), Message: "account " + strconv.Quote(dn) + ": no such entry, or bind_dn may not see it"}
	case result.Code != resultSuccess:
		return entry{}, result.error(result.readCode())
	}
	return found[0], nil
}

// is389 reports whether the server is 389 Directory Server: it takes writes of
// attributes by which other servers lock and mark, and does nothing about them.
func (s *server) is389(ctx context.Context) (bool, *sdk.Error) {
	if known := s.ds.Load(); known != nil {
		return *known, nil
	}
	root, failed := s.read(ctx, "", []string{"vendorName"})
	if failed != nil {
		return false, failed
	}
	found := strings.Contains(root.First("vendorName"), "389") || strings.Contains(root.First("vendorName"), "Fedora")
	s.ds.Store(&found)
	return found, nil
}

// pages runs a search in pages on one connection, for a server knows its place
// by that. A list that the server cut is an error.
func (s *server) pages(ctx context.Context, search ldapwire.Search, yield func(entry) error) error {
	var mine error
	failed := s.admin.use(ctx, func(link *conn) error {
		var cookie []byte
		for {
			last, result, err := link.search(ctx, search, s.paging(cookie), func(item entry) error {
				mine = yield(item)
				return mine
			})
			if err != nil {
				return err
			}
			if result.Code != resultSuccess {
				return s.cut(result)
			}
			if cookie = last.NextPage(); len(cookie) == 0 {
				return nil
			}
		}
	})
	switch {
	case mine != nil:
		return mine
	case failed != nil:
		return reading(failed)
	}
	return nil
}

// paging is the control for pages, nil if all is asked for at once.
func (s *server) paging(cookie []byte) []ldapwire.Control {
	if s.page == 0 {
		return nil
	}
	return []ldapwire.Control{ldapwire.Page(s.page, cookie)}
}

// cut is the error of a list that ends before its end.
func (s *server) cut(result result) error {
	if result.Code == resultNoSuchObject {
		return s.noBase(result)
	}
	failure := result.error(result.readCode())
	if result.Code == resultSizeLimit || result.Code == resultAdminLimit {
		failure.Code = sdk.TargetError
		failure.Message += "; the list would be short: raise the server's limit for bind_dn, or set page_size"
	}
	return failure
}

// noBase is the error of a search under a base_dn that is not there.
func (s *server) noBase(result result) *sdk.Error {
	return &sdk.Error{Code: sdk.InvalidConfig, Native: result.native(), Message: "base_dn: " + s.base + " does not exist, or bind_dn may not see it"}
}

// count counts entries under base_dn, up to a limit and for a moment.
func (s *server) count(ctx context.Context, filter []byte) (count int, more bool, failed *sdk.Error) {
	made := ldapwire.Search{Base: s.base, Scope: ldapwire.ScopeSubtree, Limit: 1000, Seconds: 3, Filter: filter, Attributes: []string{"1.1"}}
	result, failed := s.query(ctx, made, func(entry) { count++ })
	return count, result.Code == resultSizeLimit || result.Code == resultTimeLimit, failed
}
