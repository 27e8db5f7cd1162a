package rest_test

import (
	"encoding/json"
	"testing"

	"github.com/rekey-host/rekey/sdk/rest"
)

func TestLooseFieldsNeverFailAnAnswer(t *testing.T) {
	for _, raw := range []string{`null`, `""`, `"x"`, `7`, `"7"`, `"-2147483648"`, `-107`, `7.0`, `1e3`, `"7.5"`, `true`, `"TRUE"`, `0`, `"no"`, `{}`, `[1]`, `{"a":[]}`, `"` + "é" + `"`, `99999999999999999999`} {
		var got struct {
			T rest.Text
			I rest.Int
			B rest.Bool
			Z string
		}
		if err := json.Unmarshal([]byte(`{"T":`+raw+`,"I":`+raw+`,"B":`+raw+`,"Z":"after"}`), &got); err != nil || got.Z != "after" {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestLooseFieldsAreRead(t *testing.T) {
	for raw, want := range map[string]rest.Int{`7`: {7, true}, `"7"`: {7, true}, `" 7 "`: {7, true}, `"-2147483648"`: {-2147483648, true}, `2147483647`: {2147483647, true},
		`7.0`: {7, true}, `"7.5"`: {}, `""`: {}, `null`: {}, `"never"`: {}, `[7]`: {}} {
		got := rest.Int{N: 9, Known: true}
		if err := got.UnmarshalJSON([]byte(raw)); err != nil || got != want {
			t.Errorf("Int of %s = %v, want %v", raw, got, want)
		}
	}
	for raw, want := range map[string]rest.Bool{`true`: {true, true}, `"True"`: {true, true}, `1`: {true, true}, `"1"`: {true, true}, `false`: {false, true}, `0`: {false, true},
		`"no"`: {false, true}, `null`: {}, `"maybe"`: {}, `{}`: {}, `2`: {}} {
		got := rest.Bool{On: true, Known: true}
		if err := got.UnmarshalJSON([]byte(raw)); err != nil || got != want {
			t.Errorf("Bool of %s = %v, want %v", raw, got, want)
		}
	}
	for raw, want := range map[string]rest.Text{`"a"`: "a", `400`: "400", `true`: "true", `null`: "", `{}`: "", `["a"]`: "", `12345678901234567890`: "12345678901234567890"} {
		got := rest.Text("before")
		if err := got.UnmarshalJSON([]byte(raw)); err != nil || got != want {
			t.Errorf("Text of %s = %q, want %q", raw, got, want)
		}
	}
}
