package main

import (
	"fmt"
	"strings"

	"github.com/rekey-host/rekey/plugins/kept"
)

// explainPromises shows what the kit finds of a bundled backend, a line a topic. Of
// others no report is kept.
func explainPromises(screen *screen, report *kept.Report) {
	if report == nil {
		explainList(screen, "promises", []string{"not known here; rekey plugin test finds out"})
		return
	}
	explainTopics(screen, "promises kept, as the conformance kit finds in this release", report.Kept)
	explainTopics(screen, "promises broken", report.Broken)
	explainLeftOut(screen, report.LeftOut)
}

// explainLeftOut shows promises by why they do not apply.
func explainLeftOut(screen *screen, list []kept.LeftOut) {
	of := map[string][]string{}
	for _, one := range list {
		of[one.Why] = append(of[one.Why], one.Name)
	}
	if len(list) > 0 {
		fmt.Fprintln(screen, "\npromises that do not apply, or were not tried")
	}
	for _, one := range list {
		if names := of[one.Why]; names != nil {
			fmt.Fprintf(screen, "  %s: %s\n", one.Why, strings.Join(names, "; "))
			delete(of, one.Why)
		}
	}
}

// explainTopics shows TOPIC/PROMISE of one topic beside each other.
func explainTopics(screen *screen, title string, promises []string) {
	if len(promises) == 0 {
		return
	}
	fmt.Fprintf(screen, "\n%s\n", title)
	var topics []string
	of := map[string][]string{}
	for _, promise := range promises {
		topic, rest, _ := strings.Cut(promise, "/")
		if of[topic] == nil {
			topics = append(topics, topic)
		}
		of[topic] = append(of[topic], rest)
	}
	for _, topic := range topics {
		fmt.Fprintf(screen, "  %-20s %s\n", topic, strings.Join(of[topic], "; "))
	}
}

// promisesOf is the report of a backend; nil if it is not bundled.
func promisesOf(name string) (*kept.Report, error) {
	if _, ours := bundled()[name]; !ours {
		return nil, nil
	}
	return kept.Of(name)
}
