package postgres

import (
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/disclosure"
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

func TestRefusedPreAnnouncementStaysPrivate(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	release := w.scheduled()
	render := func() (n int) {
		w.must(w.PublishSite(ctx, w.admin, func(e disclosure.Edition) ([]disclosure.Document, error) {
			n = len(e.Upcoming)
			return []disclosure.Document{page("/", "front")}, nil
		}))
		return n
	}
	render()
	id := w.notice(release, disclosure.ToAnnounceAhead).ID
	w.approve(id)
	w.must(w.StartSending(ctx, w.rel, id, nil))
	_, err := w.Deliver(ctx, id, w.Now, func(context.Context, disclosure.Outgoing) disclosure.Outcome {
		return disclosure.Outcome{State: disclosure.Rejected, Text: "550 no such list"}
	})
	w.must(err)
	if n := w.notice(release, disclosure.ToAnnounceAhead); n.State != disclosure.NoticeSent {
		t.Fatalf("the notice is %s, want every delivery over", n.State)
	}
	r, err := w.Release(ctx, w.rel, release)
	w.must(err)
	due, err := w.DocumentsDue(ctx, "1")
	w.must(err)
	if n := render(); n != 0 || due || r.State != disclosure.Scheduled {
		t.Errorf("after a pre-announcement that was refused: %d upcoming, due %v, release %s; want nothing public and the release scheduled", n, due, r.State)
	}
}

func TestBadReleaseKeepsNoOtherWaiting(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	bad, good := w.scheduled(), w.scheduled()
	for i, id := range []disclosure.ReleaseID{bad, good} {
		_, err := w.pool.Exec(ctx, `UPDATE release SET wake_at = $2 WHERE id = $1`, id, w.Now().Add(time.Duration(i-10)*time.Minute))
		w.must(err)
	}
	_, err := w.pool.Exec(ctx, `UPDATE release SET body = 'altered' WHERE id = $1`, bad)
	w.must(err)
	if n, err := w.WakeReleases(ctx, 1); n != 0 || err == nil {
		t.Errorf("WakeReleases() of an altered release = %d, %v; want an error", n, err)
	}
	if n, err := w.WakeReleases(ctx, 1); n != 1 || err != nil {
		t.Errorf("WakeReleases() the next time = %d, %v; want the good one to tick", n, err)
	}
}

// TestSlowUploadsLeaveConnections: bytes that never end do not keep the desk
// from reading.
func TestSlowUploadsLeaveConnections(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	id := w.accepted()
	r, feed := io.Pipe()
	var group sync.WaitGroup
	for range 2 * int(w.pool.Config().MaxConns) {
		group.Go(func() { _, _ = w.StoreFile(ctx, w.tri, id, "", "slow", "", r) })
	}
	for range cap(w.uploads) { // each of them has begun to read
		_, err := feed.Write([]byte("x"))
		w.must(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := w.Case(soon, w.tri, id); err != nil {
		t.Errorf("Case() while files trickle in = %v", err)
	}
	stop()
	w.must(feed.CloseWithError(context.Canceled))
	group.Wait()
}
