package postgres

import (
	"strings"
	"testing"
	"time"
)

func TestHourSleptThroughHolds(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.scheduled()
	// As if nothing had run since the day before.
	for _, x := range []struct {
		at   time.Duration // against now
		seen time.Duration
		want string
	}{
		{-time.Hour, -30 * time.Minute, ""}, // it ran at the hour, and told the members
		{-10 * time.Minute, -time.Hour, ""}, // a little late
		{time.Hour, -time.Hour, ""},
		{-20 * time.Minute, -time.Hour, "hour of a release"},
	} {
		_, err := w.pool.Exec(ctx, `UPDATE notice SET send_at = NULL`)
		w.must(err)
		_, err = w.pool.Exec(ctx, `UPDATE release SET at = $2 WHERE id = $1`, id, w.Now().Add(x.at))
		w.must(err)
		_, err = w.pool.Exec(ctx, `UPDATE instance SET last_seen = $1`, w.Wall().Add(x.seen))
		w.must(err)
		h, err := w.CheckHeld(ctx, 0)
		w.must(err)
		if got := strings.Join(h.Because, " "); (x.want == "") != (got == "") || !strings.Contains(got, x.want) {
			t.Errorf("CheckHeld() with the hour %v from now, last seen %v from now: held because %q, want %q", x.at, x.seen, got, x.want)
		}
	}
}
