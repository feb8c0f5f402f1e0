package work

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticks lets promises run: cases and releases whose time has come, deliveries
// that nobody works on any more, sessions that ended, counters to be folded.
// It counts cases, releases and deliveries.
func (w *Work) ticks(ctx context.Context) (int, error) {
	db := w.c.DB
	var errs []error
	keep := func(what string, err error) {
		if err != nil && !quiet(err) {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
	}
	keep("note that this process is alive", w.beat(ctx))
	did := 0
	swept, err := db.SweepDeliveries(ctx)
	did += swept
	keep("sweep the deliveries", err)
	if w.unlocked() {
		cases, err := db.WakeCases(ctx, by("clocks"), batch)
		keep("let cases tick", err)
		releases, err := db.WakeReleases(ctx, batch)
		keep("let releases tick", err)
		applications, err := db.WakeApplications(ctx, by("clocks"), batch)
		keep("let applications tick", err)
		did += cases + releases + applications
	}
	keep("fold the counters", db.FoldTallies(ctx))
	keep("end old sessions", db.SweepSessions(ctx))
	return did, errors.Join(errs...)
}

// markFile holds the journal mark: how far this machine has seen the database
// come. A database behind it was put back.
const markFile = "journal-mark"

// mark is 0 where none is kept yet.
func (w *Work) mark() int64 {
	if w.c.Data == "" {
		return 0
	}
	b, err := os.ReadFile(filepath.Join(w.c.Data, markFile))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// beatEvery is how often a process says that it is alive.
const beatEvery = 15 * time.Second

// beat notes that we are alive, keeps the mark, and learns what other
// processes changed: slots of the vault, the moved time. The file is replaced
// whole.
func (w *Work) beat(ctx context.Context) error {
	now := w.c.DB.Wall().UnixNano()
	if last := w.beaten.Load(); last != 0 && now-last < int64(beatEvery) && now >= last {
		return nil
	}
	mark := w.mark()
	next, err := w.c.DB.Beat(ctx, mark)
	if err != nil {
		return err
	}
	w.beaten.Store(now)
	if w.c.Data != "" && next != mark {
		name := filepath.Join(w.c.Data, markFile)
		temp := name + ".new"
		if err := os.WriteFile(temp, []byte(strconv.FormatInt(next, 10)+"\n"), 0o600); err != nil {
			return fmt.Errorf("keep the journal mark: %w", err)
		}
		if err := os.Rename(temp, name); err != nil {
			return fmt.Errorf("keep the journal mark: %w", err)
		}
	}
	return w.c.DB.Reload(ctx)
}
