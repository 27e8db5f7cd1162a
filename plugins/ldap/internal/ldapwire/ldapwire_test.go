package ldapwire

import (
	"bufio"
	"bytes"
	"slices"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"
)

// Whatever a login is, in the request it is one value of one comparison, as
// another implementation writes it, and nothing around it moves.
func FuzzLoginInAFilter(f *testing.F) {
	f.Fuzz(func(t *testing.T, login string) {
		other, err := goldap.CompileFilter("(uid=" + goldap.EscapeFilter(login) + ")")
		if err != nil {
			t.Fatal(err)
		}
		filter := FilterEqual("uid", login)
		if login != "" && !bytes.Equal(filter, other.Bytes()) { // "" it takes for (uid=*)
			t.Fatalf("%q: % x, another writes % x", login, filter, other.Bytes())
		}
		s := Search{Base: "dc=x", Scope: ScopeSubtree, Limit: 2, Filter: filter, Attributes: []string{"uid"}}
		e, rest, err := Next(s.Request())
		if err != nil || len(rest) > 0 {
			t.Fatalf("%q: the request is not one element", login)
		}
		parts, err := Elements(e.Body, 8)
		if err != nil || len(parts) != 8 || !bytes.Equal(Encode(parts[6].Tag, parts[6].Body), filter) {
			t.Fatalf("%q: %d parts, %v", login, len(parts), err)
		}
	})
}

// Whatever a server sends, reading it ends and takes no more than it was given.
func FuzzRead(f *testing.F) {
	f.Add(Frame(1, Encode(TagSearchEntry, Text(TagOctets, "dc=x"), Encode(TagSequence, Encode(TagSequence, Text(TagOctets, "cn"), Encode(TagSet, Text(TagOctets, "x")))))))
	f.Add(Frame(2, done(TagSearchDone, 0, ""), Page(5, []byte("cookie")), AskPolicy()))
	f.Fuzz(func(t *testing.T, stream []byte) {
		reader := bufio.NewReader(bytes.NewReader(stream))
		for {
			element, err := ReadElement(reader)
			if err != nil {
				return
			}
			if len(element.Body) > len(stream) {
				t.Fatalf("%d bytes out of %d", len(element.Body), len(stream))
			}
			message, err := DecodeMessage(element)
			if err != nil {
				continue
			}
			_, _ = DecodeEntry(message.Op)
			_, _ = message.NextPage(), message.AuthorizationID()
			_, _ = message.Result()
		}
	})
}

// done is the answer that ends an operation.
func done(tag byte, code int, text string) []byte {
	return Encode(tag, Int(TagEnumerated, code), Text(TagOctets, ""), Text(TagOctets, text))
}

func read(t *testing.T, data []byte) Message {
	t.Helper()
	message, err := ReadMessage(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// Numbers are read back as they were written, in as few bytes as another
// implementation takes.
func TestNumbersArriveAsTheyWere(t *testing.T) {
	for _, number := range []int{0, 1, -1, 127, 128, -128, -129, 255, 256, 32767, 32768, 1 << 24, -1 << 24, 1<<31 - 1} {
		element, rest, err := Next(Int(TagInteger, number))
		if err != nil || len(rest) > 0 {
			t.Fatalf("%d: %v, %d bytes left", number, err, len(rest))
		}
		if got, err := element.Number(); err != nil || got != number {
			t.Errorf("%d arrives as %d, %v", number, got, err)
		}
		if size := len(element.Body); size > 1 && (element.Body[0] == 0 && element.Body[1] < 0x80 || element.Body[0] == 0xff && element.Body[1] >= 0x80) {
			t.Errorf("%d takes %d bytes", number, size)
		}
	}
}

// Lengths of every form are read, the minimal and Active Directory's.
func TestLengthsOfEveryFormAreRead(t *testing.T) {
	for _, count := range []int{0, 1, 127, 128, 255, 256, 65535, 65536, 70000} {
		body := bytes.Repeat([]byte("x"), count)
		long := append([]byte{TagOctets, 0x84, byte(count >> 24), byte(count >> 16), byte(count >> 8), byte(count)}, body...)
		for name, data := range map[string][]byte{"ours": Encode(TagOctets, body), "of four bytes": long} {
			element, rest, err := Next(append(slices.Clone(data), 'r'))
			if err != nil || !bytes.Equal(element.Body, body) || string(rest) != "r" {
				t.Errorf("%d bytes, %s: %d, rest %q, %v", count, name, len(element.Body), rest, err)
			}
			element, err = ReadElement(bufio.NewReader(bytes.NewReader(data)))
			if err != nil || !bytes.Equal(element.Body, body) {
				t.Errorf("%d bytes off a stream, %s: %d, %v", count, name, len(element.Body), err)
			}
		}
	}
	for name, data := range map[string][]byte{
		"no length": {TagOctets}, "too short": {TagOctets, 5, 'x'}, "indefinite": {TagSequence, 0x80, 0, 0}, "of five bytes": {TagOctets, 0x85, 0, 0, 0, 0, 1, 'x'},
		"more than there may be": {TagSequence, 0x84, 0x7f, 0xff, 0xff, 0xff},
	} {
		if _, err := ReadElement(bufio.NewReader(bytes.NewReader(data))); err == nil {
			t.Errorf("%s: is read", name)
		}
	}
}

// What a policy control says beside an answer.
func TestPolicyControlsAreRead(t *testing.T) {
	for name, tt := range map[string]struct {
		value []byte
		want  PolicyAnswer
	}{
		"nothing":    {Encode(TagSequence), PolicyAnswer{Answered: true, Err: PolicyNone}},
		"an error":   {Encode(TagSequence, Encode(0x81, []byte{PolicyInHistory})), PolicyAnswer{Answered: true, Err: PolicyInHistory}},
		"an end":     {Encode(TagSequence, Encode(0xa0, Encode(PolicyWarningExpiry, []byte{1, 0}))), PolicyAnswer{Answered: true, Err: PolicyNone, Expires: 256}},
		"grace":      {Encode(TagSequence, Encode(0xa0, Encode(PolicyWarningGrace, []byte{0}))), PolicyAnswer{Answered: true, Err: PolicyNone, OnGrace: true}},
		"is no BER":  {[]byte{0x30, 0x85}, PolicyAnswer{Answered: true, Err: PolicyNone}},
		"of another": {nil, PolicyAnswer{Answered: true, Err: PolicyNone}},
	} {
		answer, err := read(t, Frame(3, done(TagBindResponse, 49, "no"), Control{OID: OIDPPolicy, Value: tt.value})).Result()
		if err != nil || answer.Policy != tt.want || answer.Code != 49 || answer.Text != "no" {
			t.Errorf("%s: %+v, %v, want %+v", name, answer, err, tt.want)
		}
	}
	answer, err := read(t, Frame(3, done(TagBindResponse, 0, ""))).Result()
	if err != nil || answer.Policy.Code() != PolicyNone {
		t.Errorf("without a control: %+v, %v", answer, err)
	}
}

func TestPagesFollowEachOther(t *testing.T) {
	for _, cookie := range []string{"", "next"} {
		message := read(t, Frame(4, done(TagSearchDone, 0, ""), AskPolicy(), Page(0, []byte(cookie))))
		if got := string(message.NextPage()); got != cookie {
			t.Errorf("the next page is at %q, want %q", got, cookie)
		}
	}
	if got := read(t, Frame(4, done(TagSearchDone, 0, ""))).NextPage(); len(got) > 0 {
		t.Errorf("without a control there is a page at %q", got)
	}
}
