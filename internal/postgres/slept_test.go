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

// TestSlowUploadsLeaveConnections: files of which the bytes hardly come hold no
// connection, however many they are, and are stored when they are here.
func TestSlowUploadsLeaveConnections(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.accepted()
	most := 2 * int(w.pool.Config().MaxConns)
	whole := strings.Repeat("The lantern leaks. ", 40_000) // more than stays in memory
	var group sync.WaitGroup
	var feeds []*io.PipeWriter
	for range most {
		r, feed := io.Pipe()
		feeds = append(feeds, feed)
		group.Go(func() {
			if f, err := w.StoreFile(ctx, w.tri, id, "", "slow", "", r); err != nil || f.Size != int64(len(whole)) {
				t.Errorf("StoreFile() of a slow file = %d bytes, %v; want %d", f.Size, err, len(whole))
			}
		})
	}
	for _, feed := range feeds { // each has begun, and waits for the rest
		_, err := io.WriteString(feed, whole[:len(whole)/2])
		w.must(err)
	}
	if n := w.pool.Stat().AcquiredConns(); n != 0 {
		t.Errorf("%d connections are held by files that trickle in, want none", n)
	}
	if _, err := w.Case(ctx, w.tri, id); err != nil {
		t.Errorf("Case() while files trickle in = %v", err)
	}
	for _, feed := range feeds {
		_, err := io.WriteString(feed, whole[len(whole)/2:])
		w.must(err)
		w.must(feed.Close())
	}
	group.Wait()
	if c, err := w.Case(ctx, w.tri, id); err != nil || len(c.Files) != most {
		t.Errorf("the case has %d files, %v; want %d", len(c.Files), err, most)
	}
}
