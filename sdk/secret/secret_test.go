package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/rekey-host/rekey/sdk/secret"
)

// canary has what escapers and formatters treat specially.
const canary = `c"a\n%y é`

type holder struct {
	hidden secret.Value
	Shown  secret.Value
	byName map[string]secret.Value
}

func held() holder {
	v := secret.New(canary)
	return holder{hidden: v, Shown: v, byName: map[string]secret.Value{"k": v}}
}

func TestNoVerbShowsAValue(t *testing.T) {
	h := held()
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%x", "%X", "%s", "%d", "%T %v"} {
		for _, arg := range []any{h, &h, h.Shown, &h.Shown, h.byName, []secret.Value{h.Shown}} {
			text := fmt.Sprintf(verb, arg, arg)
			if leaks(text) {
				t.Errorf("Sprintf(%q, %T) shows the value", verb, arg)
			}
		}
	}
}

func TestErrorsAndPanicsDoNotShowAValue(t *testing.T) {
	h := held()
	if text := fmt.Errorf("holding %v: %w", h, errors.New("broken")).Error(); leaks(text) {
		t.Error("an error shows the value")
	}
	defer func() {
		if text := fmt.Sprint(recover()); leaks(text) {
			t.Error("a panic shows the value")
		}
	}()
	panic(h)
}

func TestLoggersDoNotShowAValue(t *testing.T) {
	var out bytes.Buffer
	h := held()
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "a", h, "b", h.Shown)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "a", h, "b", h.Shown)
	for _, asJSON := range []bool{false, true} {
		hclog.New(&hclog.LoggerOptions{Output: &out, JSONFormat: asJSON}).Info("m", "a", h, "b", h.Shown)
	}
	if out.Len() == 0 || leaks(out.String()) {
		t.Errorf("logs show the value, or nothing: %d bytes", out.Len())
	}
}

func TestEncodingAValueIsAnError(t *testing.T) {
	h := held()
	if _, err := json.Marshal(h); !errors.Is(err, secret.ErrEncoded) {
		t.Errorf("json.Marshal: %v, want ErrEncoded", err)
	}
	if err := gob.NewEncoder(&bytes.Buffer{}).Encode(&h); !errors.Is(err, secret.ErrEncoded) {
		t.Errorf("gob: %v, want ErrEncoded", err)
	}
	if _, err := h.Shown.MarshalText(); !errors.Is(err, secret.ErrEncoded) {
		t.Errorf("MarshalText: %v, want ErrEncoded", err)
	}
}

func TestPresenceEmptinessAndEquality(t *testing.T) {
	var absent secret.Value
	empty, full := secret.New(""), secret.New(canary)
	for _, c := range []struct {
		name           string
		v              secret.Value
		present, empty bool
	}{{"absent", absent, false, true}, {"empty", empty, true, true}, {"full", full, true, false}} {
		if c.v.Present() != c.present || c.v.Empty() != c.empty {
			t.Errorf("%s: Present %v, Empty %v, want %v, %v", c.name, c.v.Present(), c.v.Empty(), c.present, c.empty)
		}
	}
	if !full.Equal(secret.New(canary)) || full.Equal(empty) || absent.Equal(empty) || !absent.Equal(secret.Value{}) {
		t.Error("Equal is wrong about presence or text")
	}
	if full.Reveal() != canary {
		t.Error("Reveal does not return the text")
	}
}

// leaks reports whether any telling part of the canary is in the text.
func leaks(text string) bool {
	return strings.Contains(text, `c"a`) || strings.Contains(text, `c\"a`) || strings.Contains(text, "%y")
}
