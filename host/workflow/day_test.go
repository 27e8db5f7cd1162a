package workflow

import (
	"context"
	"strings"
	"testing"
)

// TestDaysOfTheCommandLine compare with those of the source, and count back over the
// ends of months and years.
func TestDaysOfTheCommandLine(t *testing.T) {
	const text = `today = param.date("today", default = "2026-03-01")
limit = days_ago(today, 60)
def select(user):
    return user.hired != None and user.hired <= limit
workflow(users = csv("people.csv", key = "login", types = {"hired": "date"}), select = select, backend = backend("memory"))
`
	people := []string{"people.csv", "login,hired\nann,2025-12-30\nbob,2025-12-31\neve,\n"}
	for today, want := range map[string]string{"": "ann bob", "2026-02-28": "ann", "2026-02-27": ""} {
		options := script(t, text, people...)
		if today != "" {
			options.Params = map[string]string{"today": today}
		}
		w, err := Load(context.Background(), options)
		if err != nil {
			t.Fatal(err)
		}
		var due []string
		for _, row := range rowsOf(t, w) {
			if is, _, err := w.Select(context.Background(), row); err != nil {
				t.Error(err)
			} else if is {
				due = append(due, row.Key)
			}
		}
		if got := strings.Join(due, " "); got != want {
			t.Errorf("today %q: %s, want %s", today, got, want)
		}
		closeQuietly(w)
	}
}

func TestWhatIsNoDay(t *testing.T) {
	const end = "workflow(users = rows([\"ann\"], key = \"login\"), backend = backend(\"memory\"))\n"
	for _, c := range []struct{ text, given, want string }{
		{`d = param.date("d")`, "", "d (date) is required; give d=VALUE"},
		{`d = param.date("d")`, "2026-02-30", `d: "2026-02-30" is no day; write YYYY-MM-DD, of a day that there is`},
		{`d = param.date("d")`, "today", `d: "today" is no day`},
		{`d = param.date("d", default = "31.12.2026")`, "", `default: "31.12.2026" is no day`},
		{`d = days_ago("2026-01-01", 3)`, "", "date: want a date, as of a column of that type, or param.date(), got string"},
		{`d = days_ago(param.date("d", default = "2026-01-01"), 1 << 40)`, "", "1099511627776 is too many days"},
		{`d = days_ago(param.date("d", default = "2026-01-01"), 3000 * 366)`, "", "the day is not between the years 0 and 9999"},
		{`d = days_ago(param.date("d", default = "2026-01-01"), "3")`, "", "days: want int, got string"},
	} {
		options := script(t, c.text+"\n"+end)
		if c.given != "" {
			options.Params = map[string]string{"d": c.given}
		}
		w, err := Load(context.Background(), options)
		if err == nil {
			closeQuietly(w)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %q: %v, want %s", c.text, c.given, err, c.want)
		}
	}
}
