package htpasswd

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/rekey-host/rekey/plugins/internal/shacrypt"
	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// canary is a value that shows every usual mistake of quoting.
const canary = `c"a\n%y é `

// published are known hashes: those of sha-crypt from the test program of its
// specification, $apr1$r31..... from Apache's documentation, those of the
// canary from crypt(3) and openssl passwd.
var published = []struct{ name, password, hash string }{
	{"sha256", "Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
	{"sha256 with rounds", "Hello world!", "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"},
	{"sha256 default rounds named", "This is just a test", "$5$rounds=5000$toolongsaltstrin$Un/5jzAHMgOGZ5.mWJpuVolil07guHPvOW8mGRcvxa5"},
	{"sha256 of a long text", "a very much longer text to encrypt.  This one even stretches over morethan one line.", "$5$rounds=1400$anotherlongsalts$Rx.j8H.h8HjEDGomFU8bDkXm3XIUnzyxf12oP84Bnq1"},
	{"sha256 short salt", "we have a short salt string but not a short password", "$5$rounds=77777$short$JiO1O3ZpDAxGJeaDIuqCoEFysAe1mZNJRs3pw0KQRd/"},
	{"sha256 many rounds", "a short string", "$5$rounds=123456$asaltof16chars..$gP3VQ/6X7UUEW3HkBn2w1/Ptq2jxPyzV/cZKmF/wJvD"},
	{"sha256 fewest rounds", "the minimum number is still observed", "$5$rounds=1000$roundstoolow$yfvwcWrQ8l/K0DAWyuPMDNHpIVlTQebY9l/gL972bIC"},
	{"sha512", "Hello world!", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"},
	{"sha512 with rounds", "Hello world!", "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v."},
	{"sha512 default rounds named", "This is just a test", "$6$rounds=5000$toolongsaltstrin$lQ8jolhgVRVhY4b5pZKaysCLi0QBxGoNeKQzQ3glMhwllF7oGDZxUhx1yxdYcz/e1JSbq3y6JMxxl8audkUEm0"},
	{"sha512 of a long text", "a very much longer text to encrypt.  This one even stretches over morethan one line.", "$6$rounds=1400$anotherlongsalts$POfYwTEok97VWcjxIiSOjiykti.o/pQs.wPvMxQ6Fm7I6IoYN3CmLs66x9t0oSwbtEW7o7UmJEiDwGqd8p4ur1"},
	{"sha512 short salt", "we have a short salt string but not a short password", "$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0"},
	{"sha512 many rounds", "a short string", "$6$rounds=123456$asaltof16chars..$BtCwjqMJGx5hrJhZywWvt0RLE8uZ4oPwcelCjmw2kSYu.Ec6ycULevoBK25fs2xXgMNrCzIMVcgEJAstJeonj1"},
	{"sha512 fewest rounds", "the minimum number is still observed", "$6$rounds=1000$roundstoolow$kUMsbe306n21p9R.FRkW3IGn.S9NPN0x50YhH1xhLsPuWGsUSklZt58jaTfF4ZEQpyUNGc0dqbpBYYBaHHrsX."},
	{"sha512 of the canary", canary, "$6$rounds=1000$abc$bfump0BJ19U4q6EAwcudid8mBeV6bx7yRFvmXo0fut9qFAnnbt9Gv2vo/tPw/e.sFHGnJe62MMEq8W5hCvAaa."},
	{"apr1", "myPassword", "$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/"},
	{"apr1 of the canary", canary, "$apr1$abcdefgh$AnWTs/koEtWWwK4AzicZA1"},
	{"md5", canary, "$1$abcdefgh$Ww68vb0WBWYyVwsm5SvrT/"},
	{"bcrypt", canary, "$2y$04$abcdefghijklmnopqrstuu/ajQByaqCwIksWyFe6zhQjo2L9o28Ri"},
	{"sha", canary, "{SHA}2AuZKu3eSAvTaNdQc/ftHRnqz9c="},
	{"ssha", canary, "{SSHA}7qPJkCqKYinJKUjcD0PWoHSwfXhzYWx0c2FsdA=="},
}

func TestPublishedHashesAreUnderstood(t *testing.T) {
	for _, v := range published {
		t.Run(v.name, func(t *testing.T) {
			if got := verdict(v.hash, []byte(v.password)); got != sdk.Accepted {
				t.Errorf("verdict(%q) = %v, want accepted", v.hash, got)
			}
			for _, wrong := range []string{"", v.password + "x", strings.ToUpper(v.password)} {
				if got := verdict(v.hash, []byte(wrong)); got != sdk.Rejected {
					t.Errorf("verdict(%q) of another value = %v, want rejected", v.hash, got)
				}
			}
			cut := v.hash[:len(v.hash)-2]
			if got := verdict(cut, []byte(v.password)); got != sdk.Rejected {
				t.Errorf("verdict(%q) = %v, want rejected", cut, got)
			}
		})
	}
}

func TestPublishedHashesAreMadeAgain(t *testing.T) {
	for _, v := range published {
		switch {
		case strings.HasPrefix(v.hash, "$apr1$"):
			salt, _, _ := strings.Cut(v.hash[len("$apr1$"):], "$")
			if got := md5Crypt("$apr1$", []byte(v.password), []byte(salt)); got != v.hash {
				t.Errorf("%s: got %s, want %s", v.name, got, v.hash)
			}
		case strings.HasPrefix(v.hash, "$6$"), strings.HasPrefix(v.hash, "$5$"):
			variant := shacrypt.SHA512
			if v.hash[1] == '5' {
				variant = shacrypt.SHA256
			}
			rounds, salt, _, _ := shacrypt.Cut(v.hash)
			want := strings.Replace(v.hash, "rounds=5000$", "", 1)
			if got := variant.Crypt([]byte(v.password), []byte(salt), rounds); got != want {
				t.Errorf("%s: got %s, want %s", v.name, got, want)
			}
		}
	}
}

func TestHashesThatCannotBeCompared(t *testing.T) {
	for _, hash := range []string{
		"", "!", "*", "x", "secret", "abJnggxhB/yWI", "{PLAIN}secret", "$y$j9T$abc$def",
		"$6$rounds=999999999$salt$x", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
	} {
		if got := verdict(hash, []byte("secret")); got != sdk.CannotTell {
			t.Errorf("verdict(%q) = %v, want cannot-tell", hash, got)
		}
	}
	for _, hash := range []string{"$6$", "$5$rounds=x$salt$y", "$6$rounds=1000", "$apr1$", "$1$salt", "{SHA}", "{SHA}!", "{SSHA}AAAA", "$2y$", "$2y$10$short"} {
		if got := verdict(hash, []byte("secret")); got != sdk.Rejected {
			t.Errorf("verdict(%q) = %v, want rejected", hash, got)
		}
	}
}

func TestNewHashesAreAcceptedAndDiffer(t *testing.T) {
	tests := []struct {
		kind   string
		cost   int
		prefix string
	}{
		{"bcrypt", 4, "$2y$04$"},
		{"sha512", 10, "$6$"},
		{"sha512", 1000, "$6$rounds=1000$"},
		{"sha256", 5000, "$5$"},
		{"sha256", 1234, "$5$rounds=1234$"},
		{"apr1", 10, "$apr1$"},
	}
	for _, tt := range tests {
		h, err := newHasher(tt.kind, tt.cost, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		first, err := h.hash([]byte(canary))
		if err != nil {
			t.Fatal(err)
		}
		second, err := h.hash([]byte(canary))
		if err != nil {
			t.Fatal(err)
		}
		if first == second || stamp(first) == stamp(second) {
			t.Errorf("%s %d: two hashes of one value are equal", tt.kind, tt.cost)
		}
		if !strings.HasPrefix(first, tt.prefix) {
			t.Errorf("%s %d: got %s, want %s…", tt.kind, tt.cost, first, tt.prefix)
		}
		if got := verdict(first, []byte(canary)); got != sdk.Accepted {
			t.Errorf("%s %d: verdict = %v, want accepted", tt.kind, tt.cost, got)
		}
		if strings.ContainsAny(first, ":\r\n ") {
			t.Errorf("%s %d: %q does not fit in a line", tt.kind, tt.cost, first)
		}
	}
}

func TestCostIsChecked(t *testing.T) {
	tests := []struct {
		kind string
		cost int
		want string
	}{
		{"bcrypt", 3, "cost: got 3, want 4 to 17 for bcrypt"},
		{"bcrypt", 18, "cost: got 18, want 4 to 17 for bcrypt"},
		{"sha512", 999, "cost: got 999, want 1000 to 10000000 for sha512"},
		{"sha256", 10000001, "cost: got 10000001, want 1000 to 10000000 for sha256"},
		{"apr1", 5, "cost: got 5, but the cost of apr1 is fixed; leave it out"},
		{"md4", 10, `hash: got "md4", want bcrypt, sha512, sha256 or apr1`},
	}
	for _, tt := range tests {
		_, err := newHasher(tt.kind, tt.cost, rand.Reader)
		if err == nil || err.Error() != "InvalidConfig: "+tt.want {
			t.Errorf("newHasher(%q, %d) = %v, want %s", tt.kind, tt.cost, err, tt.want)
		}
	}
}

func TestUnsaltedHashesHaveNoStamp(t *testing.T) {
	for _, hash := range []string{"{SHA}2AuZKu3eSAvTaNdQc/ftHRnqz9c=", "{PLAIN}secret", "secret", ""} {
		if got := stamp(hash); got != "" {
			t.Errorf("stamp(%q) = %q, want none: it could be searched", hash, got)
		}
	}
}

// dry fails after n bytes.
type dry struct{ n int }

func (d *dry) Read(p []byte) (int, error) {
	if d.n < len(p) {
		return 0, errors.New("no entropy")
	}
	d.n -= len(p)
	return len(p), nil
}

func TestNoHashWithoutRandomness(t *testing.T) {
	for _, kind := range []string{"sha512", "sha256", "apr1"} {
		h, err := newHasher(kind, 10, &dry{})
		if err != nil {
			t.Fatal(err)
		}
		if text, err := h.hash([]byte("x")); err == nil {
			t.Errorf("%s: got %q, want an error", kind, text)
		}
	}
}

// TestAHashThatFailedIsNotRemembered: a line without a hash would be taken for
// one of the value.
func TestAHashThatFailedIsNotRemembered(t *testing.T) {
	h, err := newHasher("sha512", 10, &dry{})
	if err != nil {
		t.Fatal(err)
	}
	g := newHashing(h, 1)
	defer g.close()
	value := secret.New("correct horse battery")
	made := g.of(sdk.Operation{ID: "1", Value: value})
	<-made.done
	if made.err == nil || g.knows("", value) {
		t.Errorf("error %v; known: %v", made.err, g.knows("", value))
	}
}

func BenchmarkHash(b *testing.B) {
	for _, kind := range []string{"bcrypt", "sha512", "sha256", "apr1"} {
		h, err := newHasher(kind, 0, rand.Reader)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(kind, func(b *testing.B) {
			for b.Loop() {
				if _, err := h.hash([]byte("correct horse battery")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
