package source_test

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/host/diag"
	"github.com/rekey-host/rekey/host/source"
)

// watched reads a list whose column pw is given to a step, and secret is secret.
func watched(t *testing.T, text string) (rows int, problems string, warnings []string) {
	t.Helper()
	w := source.Watch(csvOf(t, source.CSVOptions{Path: "users.csv", Secrets: []string{"secret"}, Optional: []string{"secret"}, Files: source.Files{Dir: write(t, text)}}), nil, []string{"pw"}, nil)
	err := w.Rows(context.Background(), func(source.Row) error { rows++; return nil })
	var list *diag.Problems
	switch {
	case errors.As(err, &list):
		problems = list.Error()
	case err != nil:
		t.Fatal(err)
	}
	return rows, problems, w.Warnings()
}

// TestAPasswordIsLookedAtWhereverItStands: a column that is used as a password
// is held to what a secret one is, though secrets= forgets it.
func TestAPasswordIsLookedAtWhereverItStands(t *testing.T) {
	const head = "login,pw,secret,note\n"
	for value, want := range map[string]string{
		"#NAME?": `column "pw" holds #NAME?, the error text of a spreadsheet`, "########": `column "pw" holds nothing but #`, "p\ufffdw": `column "pw" has a replacement character (U+FFFD)`,
	} {
		_, problems, _ := watched(t, head+"ann,"+value+",,\nbob,x-1,,\ncy,"+value+",,\n")
		if !strings.HasPrefix(problems, "users.csv:2: "+want) || !strings.Contains(problems, "\nusers.csv:4: "+want) || strings.Contains(problems, "p\ufffdw") {
			t.Errorf("%q: %q, want %s", value, problems, want)
		}
		if rows, problems, warnings := watched(t, head+"ann,x,,"+value+"\n"); rows != 1 || problems != "" || warnings != nil {
			t.Errorf("a note %q: %q, %q", value, problems, warnings)
		}
	}
}

// TestAPasswordThatMayBeNoneIsWarnedOf, and is used: somebody may have it.
func TestAPasswordThatMayBeNoneIsWarnedOf(t *testing.T) {
	const head = "login,pw,secret,note\n"
	for value, want := range map[string]string{
		"1.23457E+11": "a number as a spreadsheet shortens it", "\"1,2E+05\"": "a number as a spreadsheet shortens it", "1e+20": "a number as a spreadsheet shortens it",
		"NULL": `"NULL", which stands for nothing`, "null": `"null", which`, "(null)": `"(null)"`, `\N`: `"\\N", which`, "N/A": `"N/A", which`, "n/a": `"n/a"`, "-": `"-", which`, "—": `"—", which`,
		"None": `"None", which`, "undefined": `"undefined"`, "?": `"?"`, "[redacted]": `"[redacted]"`, "********": "what stands in forms", "•••••": "what stands in forms",
	} {
		for column, line := range map[string]string{"pw": "ann," + value + ",,", "secret": "ann,," + value + ","} {
			rows, problems, warnings := watched(t, head+"bob,x-1,y-1,\n"+line+"\n"+strings.Replace(line, "ann", "cy", 1)+"\n")
			got := strings.Join(warnings, "\n")
			if rows != 3 || problems != "" || !strings.HasPrefix(got, `users.csv:3: the password in column "`+column+`" is `+want) || !strings.HasSuffix(got, "2 times in all") {
				t.Errorf("%s %q: %d rows, %q, %q, want %s", column, value, rows, problems, got, want)
			}
		}
		if _, _, warnings := watched(t, head+"ann,x,,"+value+"\n"); warnings != nil {
			t.Errorf("a note %q: %q", value, warnings)
		}
	}
	for _, value := range []string{"Nullable-1", "E+11", "12.3E+4", "1.2E+", "1E5", "*", "a-b", "--x", "x?", "Na"[:1], "1.2.3E+4", "unknown-7"} {
		if _, problems, warnings := watched(t, head+"ann,"+value+","+value+",\n"); problems != "" || warnings != nil {
			t.Errorf("%q: %q, %q", value, problems, warnings)
		}
	}
}

// TestAHashIsOfItsForm: of what somebody else hashed only the form can be
// looked at, and it is never quoted.
func TestAHashIsOfItsForm(t *testing.T) {
	sum := sha512.Sum512([]byte("x"))
	good := base64.StdEncoding.EncodeToString(sum[:])
	for _, c := range []struct{ form, text, want string }{
		{"sha512-base64", good, ""},
		{"sha512-base64", good[:87], "the Base64 of 64 bytes: 88 characters; it has 87"},
		{"sha512-base64", strings.TrimRight(good, "="), "it has 86"},
		{"sha512-base64", hex.EncodeToString(sum[:]), "it has 128; it is written in hexadecimal digits"},
		{"sha512-base64", base64.RawURLEncoding.EncodeToString(sum[:]), "it has 86"},
		{"sha512-base64", base64.StdEncoding.EncodeToString(sum[:32]), "it has 44; make it again from the password"},
		{"sha512-base64", "Correct-Horse-7", "it has 15"},
		{"rfc2307", "{SSHA}" + good, ""},
		{"rfc2307", good, "begins with its scheme, as {SSHA512}"},
		{"rfc2307", "{SSHA}", "begins with its scheme"},
		{"bcrypt", "$2y$10$" + strings.Repeat("a", 53), ""},
		{"bcrypt", "$2y$10$" + strings.Repeat("a", 52), "which looks like $2y$, its cost and 53 characters"},
		{"bcrypt", "pbkdf2_sha256$1000$salt$aGFzaA==", "it cannot be moved"},
		{"pbkdf2-django", "pbkdf2_sha256$1000$salt$aGFzaA==", ""},
		{"pbkdf2-django", "pbkdf2_sha512$1000$salt$aGFzaA==", "which looks like pbkdf2_sha256$ROUNDS"},
		{"phpass", "$P$B" + strings.Repeat("a", 30), ""},
		{"phpass", strings.Repeat("a", 32), "which looks like $P$"},
		{"ha1", strings.Repeat("a", 31), "32 digits"},
		{"a form of a plugin's own", "anything", ""},
	} {
		dir := write(t, "login,hash\nann,"+c.text+"\nbob,\n")
		w := source.Watch(csvOf(t, source.CSVOptions{Path: "users.csv", Files: source.Files{Dir: dir}}), nil, []string{"hash"}, map[string]string{"hash": c.form})
		rows := 0
		err := w.Rows(context.Background(), func(source.Row) error { rows++; return nil })
		switch {
		case c.want == "" && (err != nil || rows != 2):
			t.Errorf("%s %q: %v, %d rows", c.form, c.text, err, rows)
		case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), `users.csv:2: column "hash": not a hash of the form `+c.form) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), c.text)):
			t.Errorf("%s %q: %v, want %s", c.form, c.text, err, c.want)
		}
	}
}

// TestGivenValuesAreHeldAgainstABlocklist: they are warned of, but not those that
// steps are given for something else; a list that fails stops the reading.
func TestGivenValuesAreHeldAgainstABlocklist(t *testing.T) {
	open := func(given ...string) *source.Watched {
		dir := write(t, "login,new,old\nann,hunter2,x\nbob,Fine-one-77,hunter2\ncem,hunter2,hunter2\n")
		return source.Watch(csvOf(t, source.CSVOptions{Path: "users.csv", Secrets: []string{"new", "old"}, Files: source.Files{Dir: dir}}), given, []string{"new", "old"}, nil)
	}
	w := open("new")
	w.Held = func(value string) (string, error) {
		if value == "hunter2" {
			return "a breached password", nil
		}
		return "", nil
	}
	if err := w.Rows(t.Context(), func(source.Row) error { return nil }); err != nil {
		t.Fatal(err)
	}
	want := `users.csv:2: the password in column "new" is a breached password; such values are there 2 times in all`
	if got := w.Warnings(); len(got) != 2 || got[0] != want {
		t.Errorf("%q, want %q first", got, want)
	}
	broken := errors.New("the disk is gone")
	w.Held = func(string) (string, error) { return "", broken }
	if err := w.Rows(t.Context(), func(source.Row) error { return nil }); !errors.Is(err, broken) {
		t.Errorf("Rows with a broken list: %v", err)
	}
}
