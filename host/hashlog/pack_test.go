package hashlog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/rekey-host/rekey/host/journal"
	"github.com/rekey-host/rekey/sdk"
)

// groupOf makes a group of records as they are stored.
func groupOf(t testing.TB, records []journal.Record) *Group {
	t.Helper()
	enc, g := Encoder{Key: &NamesKey{}}, &Group{First: records[0].Index + 1}
	for i := range records {
		f, err := FrameOf(&records[i])
		if err != nil {
			t.Fatal(err)
		}
		body, _ := enc.Stored(nil, &f)
		g.Add(f.User, body)
	}
	return g
}

// applied are the records of users from one index and position on: of half of them
// an intent, then of each what a set came to and its status.
func applied(users int) (records []journal.Record) {
	add := func(r journal.Record, user int) {
		r.Index, r.User = int64(1000+len(records)), int64(5000+user)
		records = append(records, r)
	}
	for user := range users {
		sealed := make([]byte, 72)
		for i := range sealed {
			sealed[i] = byte(rand.Uint32())
		}
		add(journal.Record{Kind: journal.Intent, Step: 2, Origin: 1, Verb: journal.Set, Backend: "noop", Account: fmt.Sprint("user", user), Sealed: sealed}, user)
	}
	for user := range users {
		add(journal.Record{Kind: journal.Outcome, Step: 2, Origin: 1, Verb: journal.Set, Backend: "noop", Account: fmt.Sprint("user", user), Outcome: sdk.Applied, Detail: journal.Detail{Attempt: 1}}, user)
		add(journal.Record{Kind: journal.Finished, Detail: journal.Detail{Attempt: 1, Status: journal.Done}}, user)
	}
	return records
}

// TestAPackedGroupUnpacksToItself, whatever its records are.
func TestAPackedGroupUnpacksToItself(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		count := rapid.IntRange(1, 3*packLeast).Draw(rt, "records")
		kinds := rapid.IntRange(1, 12).Draw(rt, "kinds")
		some := make([]journal.Record, kinds)
		for i := range some {
			some[i] = anyRecord(rt)
		}
		records, index := make([]journal.Record, count), rapid.Int64Range(0, 1<<50).Draw(rt, "index")
		for i := range records {
			records[i] = some[i*7%kinds]
			records[i].Index = index + int64(i)
			if rapid.IntRange(0, 50).Draw(rt, "gap") == 0 {
				index += 3
			}
		}
		g := groupOf(t, records)
		packed := g.Packed()
		if IsPacked(packed) != (count >= packLeast) {
			rt.Fatalf("%d records: packed is %v", count, IsPacked(packed))
		}
		if got := Unpacked(packed); !bytes.Equal(got, g.Body) {
			rt.Fatalf("%d records: %d bytes became %d, and these %d", count, len(g.Body), len(packed), len(got))
		}
	})
}

// TestAPackedGroupTakesHalfTheRoom but for what is sealed.
func TestAPackedGroupTakesHalfTheRoom(t *testing.T) {
	g := groupOf(t, applied(1000))
	if packed := len(g.Packed()) - 72*1000; packed*2 > len(g.Body)-72*1000 {
		t.Errorf("%d bytes besides the sealed ones of %d", packed, len(g.Body)-72*1000)
	}
}

// TestABrokenPackIsNoGroup: whatever is cut off or changed, there are not as many records
// as listed, or one is no record or has not its sum.
func TestABrokenPackIsNoGroup(t *testing.T) {
	g := groupOf(t, applied(40))
	whole := g.Packed()
	enc, dec := Encoder{Key: &NamesKey{}}, Decoder{}
	sound := func(body []byte) bool {
		n := int64(0)
		broken := Group{First: g.First, N: g.N, Body: Unpacked(body)}
		err := broken.Each(func(r *Stored) error {
			f, err := dec.Split(r.Body)
			if err == nil {
				err = enc.Fits(&f, r.Body)
			}
			if err == nil {
				n++
			}
			return err
		})
		return err == nil && n == g.N
	}
	if !sound(whole) {
		t.Fatal("it is not sound as it is")
	}
	for at := range whole {
		if sound(whole[:at]) {
			t.Fatalf("cut at %d of %d bytes nothing is missing", at, len(whole))
		}
		changed := bytes.Clone(whole)
		changed[at] ^= 0x41
		if sound(changed) {
			t.Fatalf("a change of byte %d of %d goes unseen", at, len(whole))
		}
	}
}

// TestEachBlockStandsForItself: those behind a broken one can be read.
func TestEachBlockStandsForItself(t *testing.T) {
	g := groupOf(t, applied(500))
	packed, blocks, frames := g.Packed(), 0, []byte(nil)
	for rest := packed; len(rest) > 0; blocks++ {
		alone, behind, whole := UnpackBlock(nil, rest)
		if size := len(rest) - len(behind); !whole || size > 1500 {
			t.Fatalf("block %d: %d bytes, %v", blocks, size, whole)
		}
		frames, rest = append(frames, alone...), behind
	}
	if blocks < 10 || !bytes.Equal(frames, g.Body) {
		t.Errorf("%d blocks, and together they are the group: %v", blocks, bytes.Equal(frames, g.Body))
	}
}

// TestWhatIsSoundIsFoundInABrokenBlock: of bytes that were changed, the records before
// and behind.
func TestWhatIsSoundIsFoundInABrokenBlock(t *testing.T) {
	enc, dec := Encoder{Key: &NamesKey{}}, Decoder{}
	sound := func(frame []byte) bool {
		f, err := dec.Split(frame)
		return err == nil && enc.Fits(&f, frame) == nil
	}
	for _, records := range [][]journal.Record{applied(100)[:100], applied(100)[100:]} {
		block := groupOf(t, records).Packed()
		_, behind, _ := UnpackBlock(nil, block)
		block = block[:len(block)-len(behind)]
		count := func(piece []byte) (n int) {
			_, err := Sift(piece, sound, func([]byte) error { n++; return nil })
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		all := count(block)
		if all < 8 {
			t.Fatalf("%d records in a block", all)
		}
		for at := 80; at < len(block)-90; at += 7 {
			changed := bytes.Clone(block)
			copy(changed[at:], bytes.Repeat([]byte{0xff}, 90))
			if most := 2 + 90/(len(block)/all); count(changed) < all-most {
				t.Errorf("90 bytes from %d on: %d of %d records are found", at, count(changed), all)
			}
		}
		if n := count(block[:len(block)/2]); n < all/2-1 {
			t.Errorf("%d of %d records are in the first half", n, all)
		}
	}
	if size, err := Sift([]byte(PackMark+"\x7fsomething else"), sound, nil); size != 0 || err != nil {
		t.Errorf("what is no block has %d bytes, %v", size, err)
	}
}

func FuzzUnpackedNeverPanics(f *testing.F) {
	f.Add(groupOf(f, applied(40)).Packed())
	f.Add([]byte(PackMark))
	f.Fuzz(func(t *testing.T, body []byte) {
		list := Frames{Unpacked(body)}
		for list.Next() != nil {
		}
	})
}

func BenchmarkPack(b *testing.B) {
	g := groupOf(b, applied(1000))
	packed := g.Packed()
	b.Run("packed", func(b *testing.B) {
		for b.Loop() {
			g.Packed()
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/3000, "ns/record")
	})
	b.Run("unpacked", func(b *testing.B) {
		for b.Loop() {
			Unpacked(packed)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/3000, "ns/record")
	})
}
