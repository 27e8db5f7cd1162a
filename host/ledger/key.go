package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rekey-host/rekey/host/hashlog"
	"github.com/rekey-host/rekey/host/ledger/internal/files"
)

// keyring has the key that signs heads.
type keyring struct {
	*stateDir
	mu     sync.Mutex
	signer *hashlog.Signer // read on first use
}

// auditKey returns the key that signs heads, making it on first use.
func (s *keyring) auditKey() (*hashlog.Signer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signer != nil {
		return s.signer, nil
	}
	path := filepath.Join(s.dir, "audit.key")
	if !files.Exists(path) {
		skey, err := hashlog.GenerateSigner(s.rand, s.keyName())
		if err != nil {
			return nil, fmt.Errorf("audit key: %w", err)
		}
		if err := writeNew(path, []byte(skey+"\n")); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("audit key: %w", err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("audit key: %w", err)
	}
	s.signer, err = hashlog.ParseSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("audit key %s: %w", path, err)
	}
	return s.signer, nil
}

// keyName is what signatures are from: notes allow no spaces and no plus.
func (s *keyring) keyName() string {
	host := strings.Map(func(r rune) rune {
		if r <= ' ' || r == '+' || r > '~' {
			return '-'
		}
		return r
	}, s.host)
	return strings.TrimSuffix("rekey-"+host, "-")
}

// VerifierKey returns the public key that heads and bundles of this state
// directory are verified with, making a missing pair.
func (s *keyring) VerifierKey() (string, error) {
	k, err := s.auditKey()
	if err != nil {
		return "", err
	}
	return k.VerifierKey(), nil
}
