package smartcloud

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rekey-host/rekey/sdk"
	"github.com/rekey-host/rekey/sdk/rest"
)

// weighted are the requests that a weight can be given to, as IBM's
// provisioning sample names them.
var weighted = []string{"subscriber", "authentication", "changepassword", "getrolelist"}

// budget holds requests back so that the sum of their weights in a period
// stays within what the organisation may cause. A nil budget holds nothing back.
type budget struct {
	limit   int
	period  time.Duration
	weights map[string]int

	mu    sync.Mutex
	spent int
	since time.Time
}

// parseBudget reads the settings budget ("600/m", "20/30s") and weights
// ("changepassword=2"). Its errors are InvalidConfig.
func parseBudget(text string, weights []string) (*budget, error) {
	made := &budget{weights: map[string]int{}}
	for _, name := range weighted {
		made.weights[name] = 1
	}
	for _, word := range weights {
		name, number, _ := strings.Cut(word, "=")
		count, err := strconv.Atoi(strings.TrimSpace(number))
		if _, ok := made.weights[strings.TrimSpace(name)]; !ok || err != nil || count < 0 {
			return nil, sdk.Errorf(sdk.InvalidConfig, "weights: %q: want NAME=N, NAME one of %s", word, strings.Join(weighted, ", "))
		}
		made.weights[strings.TrimSpace(name)] = count
	}
	if text == "" {
		return nil, nil
	}
	number, period, _ := strings.Cut(text, "/")
	index, err := strconv.Atoi(strings.TrimSpace(number))
	span := parsePeriod(strings.TrimSpace(period))
	if err != nil || index < 1 || span <= 0 {
		return nil, sdk.Errorf(sdk.InvalidConfig, "budget: %q: want N/s, N/m, N/h or N/30s", text)
	}
	made.limit, made.period = index, span
	for name, width := range made.weights {
		if width > index {
			return nil, sdk.Errorf(sdk.InvalidConfig, "weights: %s=%d is more than the whole budget of %d", name, width, index)
		}
	}
	return made, nil
}

func parsePeriod(text string) time.Duration {
	switch text {
	case "s", "m", "h":
		text = "1" + text
	}
	span, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return span
}

// spend waits until a request of this name fits. If this is after the
// context's deadline it does not wait: RateLimited tells the host how long to
// leave the operation alone, which costs no attempt and no worker.
func (b *budget) spend(ctx context.Context, name string) *rest.Failure {
	if b == nil {
		return nil
	}
	for {
		wait := b.take(b.weights[name], time.Now())
		if wait == 0 {
			return nil
		}
		if end, bounded := ctx.Deadline(); bounded && time.Until(end) < wait {
			failure := sdk.Errorf(sdk.RateLimited, "the budget of %d in %v is spent", b.limit, b.period)
			failure.RetryAfter = wait
			return rest.Refusal(failure)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return rest.Refusal(sdk.Errorf(sdk.Cancelled, "given up before it was sent"))
		}
	}
}

// take spends the weight, or returns how long until the sum is 0 again.
func (b *budget) take(weight int, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.since) >= b.period {
		b.since, b.spent = now, 0
	}
	if b.spent+weight <= b.limit {
		b.spent += weight
		return 0
	}
	return max(time.Millisecond, b.period-now.Sub(b.since))
}
