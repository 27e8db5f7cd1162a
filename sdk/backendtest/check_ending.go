package backendtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/secret"
)

// noLeaks provokes every refusal with values that can be recognised, and looks
// for them, and for the settings' secrets, in all texts shown.
func noLeaks(probe *probe) {
	subject, text, ctx := probe.open(), probe.target.Accounts[0], probe.t.Context()
	was := known(probe, subject, text)
	secrets := []string{canary, canary + "-old", was}
	if len(probe.target.Weak) >= 6 {
		secrets = append(secrets, probe.target.Weak)
	}
	for _, value := range probe.target.Config.Secrets {
		secrets = append(secrets, value.Reveal())
	}
	look := func(what string, receipt sdk.Receipt) {
		wantClean(probe, "the answer to "+what, texts(receipt), secrets...)
	}
	look("a set of a weak value", subject.apply(ctx, anyOp(probe, text, probe.target.Weak)))
	for what, edit := range provocations(probe) {
		op := anyOp(probe, text, canary)
		edit(&op)
		look(what, subject.apply(ctx, op))
	}
	late, stop := context.WithTimeout(ctx, time.Microsecond)
	defer stop()
	look("an operation that is too late", subject.apply(late, anyOp(probe, text, canary)))
	look("a set of an awkward value", subject.apply(ctx, anyOp(probe, text, canary)))
	if probe.can(sdk.CanVerify) {
		_, err := subject.verify(ctx, probe.target.Missing, probe.kind(), secret.New(canary))
		wantClean(probe, "the answer to a verify", fmt.Sprint(err), secrets...)
	}
	wantClean(probe, "the log", probe.log.String(), secrets...)
	wantClean(probe, "what the plugin printed", probe.plugin.logged(), secrets...)
}

// shards are how values begin of which no six characters stand anywhere by chance,
// read in either direction.
const shards = "Zq8-"

// newShard makes such a value. It is another one each time: what other tests leave
// in files is not this one's.
func newShard() string {
	const letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	random := make([]byte, 20)
	_, _ = rand.Read(random) // it never fails
	text := shards
	for index, number := range random {
		text += string(letters[int(number)%len(letters)])
		if index%5 == 4 { // so that six characters are no part of an id
			text += string("_.-_"[index/5])
		}
	}
	return text + "z"
}

// noFragments provokes refusals and faults with such a value.
func noFragments(probe *probe) {
	subject, account, ctx, shard := probe.open(), probe.target.Accounts[0], probe.t.Context(), newShard()
	look := func(what string, receipt sdk.Receipt) {
		wantNoShard(probe, shard, "the answer to "+what, texts(receipt))
	}
	for what, edit := range provocations(probe) {
		op := anyOp(probe, account, shard)
		edit(&op)
		if !op.Value.Equal(secret.New(longCanary)) {
			look(what, subject.apply(ctx, op))
		}
	}
	look("a set", subject.apply(ctx, anyOp(probe, account, shard)))
	look("a set again", subject.apply(ctx, anyOp(probe, account, shard)))
	if probe.can(sdk.CanVerify) {
		_, err := subject.verify(ctx, probe.target.Missing, probe.kind(), secret.New(shard))
		wantNoShard(probe, shard, "the answer to a verify", fmt.Sprint(err))
	}
	for what, code := range probe.target.Refusing {
		look(fmt.Sprintf("a set of an account that is refused with %s", code), subject.apply(ctx, anyOp(probe, what, shard)))
	}
	if probe.relayed() && probe.d.Does(sdk.Set) {
		probe.shardsInFaults(shard)
	}
	wantNoShard(probe, shard, "the log", probe.log.String())
	wantNoShard(probe, shard, "what the plugin printed", probe.plugin.logged())
	for _, name := range strewn(shard, probe.began) {
		probe.fail("the file %s has six characters of the value", name)
	}
}

// shardsInFaults looks at the answers where the server falls silent in the middle.
func (p *probe) shardsInFaults(shard string) {
	for _, fault := range hiccups {
		p.mustMeet(fault, "a set", func(subject subject, account, what string) func() {
			wantNoShard(p, shard, "the answer with "+what, texts(p.timed(subject, p.set(account, shard))))
			return func() {}
		})
	}
}

// wantNoShard notes a problem if six characters of shard stand in text, also
// backwards or with something between them.
func wantNoShard(probe *probe, shard, where, text string) {
	if part := shardIn(shard, text); part != "" {
		probe.fail("%s: holds %d characters of the value beside each other", where, len(part))
	}
}

func shardIn(shard, text string) string {
	letters := []rune(shard)
	slices.Reverse(letters)
	dense := strings.Map(func(letter rune) rune {
		if strings.ContainsRune(" \t\n,;:|", letter) {
			return -1
		}
		return letter
	}, text)
	for _, whole := range []string{shard, string(letters)} {
		for from := range len(whole) - 5 {
			if part := whole[from : from+6]; strings.Contains(text, part) || strings.Contains(dense, part) {
				return part
			}
		}
	}
	return ""
}

func closeIsClean(probe *probe) {
	before := goroutines(probe)
	for range 3 {
		subject, err := probe.configure(probe.target.Config)
		if err != nil {
			probe.stop("Configure: %v", err)
		}
		probe.give(subject, probe.target.Accounts[0], probe.value())
		if err := subject.close(); err != nil {
			probe.fail("Close: %v", err)
		}
		if !probe.d.Does(sdk.Set) {
			break
		}
	}
	if left := settled(probe, before); left > before {
		probe.fail("Close: %d goroutines before the instances were opened, %d after they were closed", before, left)
	}
}
