package ledger

import (
	"cmp"
	"errors"

	"filippo.io/age"
	"github.com/rekey-host/rekey/sdk/secret"
)

// custodian seals and opens the values of a run.
type custodian struct {
	*openRun
	seal    *sealer
	sealErr error // why it is missing
}

// unlockValues opens the data key. A key that does not open is remembered, not
// returned.
func (r *custodian) unlockValues(identities []age.Identity) error {
	var wrapped []byte
	err := r.reading(func(c storage) error {
		found, err := c.Run()
		wrapped = found.Key.Wrapped
		return cmp.Or(err, found.Key.Err)
	})
	if err != nil {
		return ofRun(r.id, err)
	}
	key, err := unwrap(wrapped, identities)
	defer clear(key)
	if err == nil {
		r.seal, err = newSealer(r.id, key, r.store.rand)
	}
	r.sealErr = err
	return nil
}

// Sealable returns nil if values of the run can be sealed and opened, else
// ErrNoKey or ErrForgotten with the run's name.
func (r *custodian) Sealable() error {
	if r.seal != nil {
		return nil
	}
	return ofRun(r.id, r.sealErr)
}

// Seal seals a value of a step, bound to its place; role is "value" or "old".
// An absent value is nil. Without the key it is nil too, and Commit refuses
// the intent. It is safe for concurrent use.
func (r *custodian) Seal(user int64, step, try int, role string, v secret.Value) []byte {
	if r.seal == nil {
		return nil
	}
	return r.seal.seal(r.seal.valuePlace(user, step, try, role), v)
}

// Unseal opens what Seal made. It is safe for concurrent use.
func (r *custodian) Unseal(user int64, step, try int, role string, sealed []byte) (secret.Value, error) {
	if err := r.Sealable(); err != nil {
		return secret.Value{}, err
	}
	return r.seal.open(r.seal.valuePlace(user, step, try, role), sealed)
}

// UnsealCell opens what Draft.Seal made. It is safe for concurrent use.
func (r *custodian) UnsealCell(role string, seq int64, sealed []byte) (secret.Value, error) {
	if err := r.Sealable(); err != nil {
		return secret.Value{}, err
	}
	return r.seal.open(r.seal.cellPlace(role, seq), sealed)
}

// keyIsWhole tells a damaged key from a destroyed one, and from
// one that another identity opens.
func (r *custodian) keyIsWhole() error {
	if r.seal != nil {
		return nil
	}
	s, err := r.standing()
	if err != nil {
		return err
	}
	err = r.reading(func(c storage) error { return r.keyFits(c, s.Forgot) })
	if errors.Is(err, errOtherKey) {
		r.sealErr, err = errOtherKey, nil
	}
	return err
}
