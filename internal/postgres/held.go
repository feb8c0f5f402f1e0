package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// Held is why nothing is sent or published.
type Held struct {
	Since   time.Time // zero: not held
	Because []string  // sentences
}

// mayLeave is disclosure.ErrHeld while the instance is held. Every send and
// every publish calls it in its own transaction; holding waits for those
// that have begun, and none begins afterwards.
func (t *tx) mayLeave(ctx context.Context) error {
	var since *time.Time
	if err := t.QueryRow(ctx, `SELECT held_since FROM instance FOR KEY SHARE`).Scan(&since); err != nil {
		return fmt.Errorf("ask whether the instance is held: %w", notFound(err))
	}
	if since != nil {
		return disclosure.ErrHeld
	}
	return nil
}

// Held says whether the instance is held, and why.
func (db *DB) Held(ctx context.Context) (h Held, err error) {
	var since *time.Time
	if err := db.pool.QueryRow(ctx, `SELECT held_since, held_because FROM instance`).Scan(&since, &h.Because); err != nil {
		return h, fmt.Errorf("ask whether the instance is held: %w", unavailable(notFound(err)))
	}
	h.Since = timeOf(since)
	return h, nil
}

// Hold stops everything that leaves, from the commit on. More than one reason
// can be given; one that stands already is not added again. Admins, releasers
// and work.
func (db *DB) Hold(ctx context.Context, by disclosure.Caller, reason string) error {
	if !by.Can(disclosure.Admin) && !by.Can(disclosure.Releaser) {
		return disclosure.ErrForbidden
	}
	return db.transact(ctx, by, func(t *tx) error { return t.hold(ctx, false, reason) })
}

// hold notes reasons. restored: this may be a copy, so that what was on its
// way is uncertain: the original may have sent it.
func (t *tx) hold(ctx context.Context, restored bool, reasons ...string) error {
	var because []string
	if err := t.QueryRow(ctx, `SELECT held_because FROM instance FOR UPDATE`).Scan(&because); err != nil {
		return fmt.Errorf("lock the instance: %w", notFound(err))
	}
	fresh := false
	for _, r := range reasons {
		if !slices.Contains(because, r) {
			because, fresh = append(because, r), true
		}
	}
	if !fresh {
		return nil
	}
	_, err := t.Exec(ctx, `UPDATE instance SET held_since = coalesce(held_since, $1), held_because = $2`, t.now, because)
	if err != nil {
		return fmt.Errorf("hold the instance: %w", err)
	}
	if restored {
		_, err := t.Exec(ctx, `UPDATE delivery SET state = 'uncertain', worker = NULL, until = NULL, next_at = NULL, updated = $1
			WHERE state IN ('queued', 'deferred', 'sending')`, t.now)
		if err != nil {
			return fmt.Errorf("mark deliveries uncertain: %w", err)
		}
	}
	t.note("instance.held", string(t.db.instance), map[string]any{"because": reasons})
	return t.alertMembers(ctx, []disclosure.Alert{{Kind: disclosure.AlertHeld, Ref: "/health"}}, "")
}

// LetGo lets things leave again, and notes this cluster, its timeline and the
// time as the right ones. A releaser or admin who stepped up.
func (db *DB) LetGo(ctx context.Context, by disclosure.Caller) error {
	if by.IsSystem() || !by.Can(disclosure.Admin) && !by.Can(disclosure.Releaser) {
		return disclosure.ErrForbidden
	}
	if !by.SteppedUp(db.Wall()) {
		return disclosure.ErrStepUp
	}
	return db.transact(ctx, by, func(t *tx) error {
		system, timeline, err := t.cluster(ctx)
		if err != nil {
			return err
		}
		tag, err := t.Exec(ctx, `UPDATE instance SET held_since = NULL, held_because = '{}', system_identifier = $1, timeline = $2,
			last_seen = $3 WHERE held_since IS NOT NULL`, system, timeline, db.Wall())
		if err != nil {
			return fmt.Errorf("let go: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return disclosure.Refuse("", "The instance is not held.")
		}
		t.note("instance.let-go", string(db.instance), nil)
		return t.notify(ctx, ChannelWork)
	})
}

func (t *tx) cluster(ctx context.Context) (system string, timeline int64, err error) {
	err = t.QueryRow(ctx, `SELECT system_identifier::text, (SELECT timeline_id FROM pg_control_checkpoint()) FROM pg_control_system()`).
		Scan(&system, &timeline)
	if err != nil {
		return "", 0, fmt.Errorf("ask which cluster this is: %w", err)
	}
	return system, timeline, nil
}

// TimeTolerance is how far wall time may be behind what was seen last, or from
// the database's, before the instance is held.
const TimeTolerance = 5 * time.Minute

// Overdue since the last beat by more than this, at the start: slept through.
const (
	hourTolerance   = 15 * time.Minute
	noticeTolerance = 24 * time.Hour
)

// CheckHeld compares the cluster, its timeline, the journal mark kept beside
// the data (0: none is) and wall time with what was noted, and holds the
// instance when something does not fit, or when the hour of a release or the
// time of a notice passed while nothing ran. It is called before work starts.
func (db *DB) CheckHeld(ctx context.Context, mark int64) (Held, error) {
	err := db.transact(ctx, disclosure.System("held"), func(t *tx) error {
		system, timeline, err := t.cluster(ctx)
		if err != nil {
			return err
		}
		var noted string
		var notedTimeline, journal int64
		var seen, server time.Time
		err = t.QueryRow(ctx, `SELECT system_identifier, timeline, journal, last_seen, clock_timestamp() FROM instance FOR UPDATE`).
			Scan(&noted, &notedTimeline, &journal, &seen, &server)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // nobody's database yet
		}
		if err != nil {
			return fmt.Errorf("read the instance: %w", err)
		}
		wall := db.Wall()
		var copied, times []string
		if noted != system {
			copied = append(copied, "The database lies in another cluster than before: it may be a copy.")
		}
		if notedTimeline != timeline {
			copied = append(copied, "The database is on another timeline than before: it was restored, or a standby took over.")
		}
		if mark > journal {
			copied = append(copied, "The database is behind what this machine did with it: it may be an older copy.")
		}
		if wall.Before(seen.Add(-TimeTolerance)) {
			times = append(times, "This machine's time went back against what was seen last.")
		}
		if d := wall.Sub(server); d > TimeTolerance || d < -TimeTolerance {
			times = append(times, "This machine's time and the database's differ by more than five minutes.")
		}
		slept, err := t.sleptThrough(ctx, seen)
		if err != nil {
			return err
		}
		times = append(times, slept...)
		if len(copied) > 0 {
			if err := t.hold(ctx, true, copied...); err != nil {
				return err
			}
		}
		if len(times) > 0 {
			return t.hold(ctx, false, times...)
		}
		return nil
	})
	if err != nil {
		return Held{}, err
	}
	return db.Held(ctx)
}

// sleptThrough says what came due after seen, wall time, and is long overdue
// now. What came due earlier was told to the members then.
func (t *tx) sleptThrough(ctx context.Context, seen time.Time) (reasons []string, err error) {
	var hour, notice bool
	err = t.QueryRow(ctx, `SELECT EXISTS (SELECT FROM release WHERE state IN ('scheduled', 'notified') AND at > $1 AND at < $2),
		EXISTS (SELECT FROM notice n JOIN release r ON r.id = n.release WHERE n.state IN ('draft', 'frozen', 'approved')
			AND r.state IN ('scheduled', 'notified') AND n.send_at > $1 AND n.send_at < $3)`,
		seen.Add(t.now.Sub(t.db.Wall())), t.now.Add(-hourTolerance), t.now.Add(-noticeTolerance)).Scan(&hour, &notice)
	if err != nil {
		return nil, fmt.Errorf("look for what was slept through: %w", err)
	}
	if hour {
		reasons = append(reasons, "The hour of a release passed while Postern did not run.")
	}
	if notice {
		reasons = append(reasons, "A notice should have left more than a day ago, while Postern did not run.")
	}
	return reasons, nil
}

// beat is when this process last said that it is alive.
type beat struct {
	mu      sync.Mutex
	wall    time.Time
	running time.Time // of a clock that nobody sets, and that stands while the machine is suspended
}

// jumped reports whether wall time went further since the last beat than this
// machine ran.
func (b *beat) jumped(wall time.Time) bool {
	running := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	jumped := !b.wall.IsZero() && wall.Round(0).Sub(b.wall) > running.Sub(b.running)+TimeTolerance
	b.wall, b.running = wall.Round(0), running
	return jumped
}

// Beat says that this process is alive, and returns the mark to keep beside
// the data once it is committed. mark is the one kept there. A database behind
// it, and wall time that went back or that jumped forward by more than
// TimeTolerance since this process's last beat (a machine that was suspended
// is such a jump), hold the instance.
func (db *DB) Beat(ctx context.Context, mark int64) (next int64, err error) {
	jumped := db.beat.jumped(db.Wall())
	err = db.transact(ctx, disclosure.System("held"), func(t *tx) error {
		var journal int64
		var seen time.Time
		if err := t.QueryRow(ctx, `SELECT journal, last_seen FROM instance FOR UPDATE`).Scan(&journal, &seen); err != nil {
			return fmt.Errorf("read the instance: %w", notFound(err))
		}
		wall := db.Wall()
		if mark > journal {
			if err := t.hold(ctx, true, "The database is behind what this machine did with it: it may be an older copy."); err != nil {
				return err
			}
		}
		if wall.Before(seen.Add(-TimeTolerance)) {
			if err := t.hold(ctx, false, "This machine's time went back against what was seen last."); err != nil {
				return err
			}
		}
		if jumped {
			if err := t.hold(ctx, false, "This machine's time jumped forward by more than five minutes, or the machine was suspended."); err != nil {
				return err
			}
		}
		next = max(journal, mark) + 1
		_, err := t.Exec(ctx, `UPDATE instance SET journal = $1, last_seen = greatest(last_seen, $2)`, next, wall)
		if err != nil {
			return fmt.Errorf("note the beat: %w", err)
		}
		return nil
	})
	return next, err
}

// MoveTime puts the time that everything waits for forward, for good. Only an
// instance made for the demo or a test lets it.
func (db *DB) MoveTime(ctx context.Context, by disclosure.Caller, d time.Duration) error {
	if !by.Can(disclosure.Admin) {
		return disclosure.ErrForbidden
	}
	if d <= 0 {
		return disclosure.Refuse("by", "Time moves forward only.")
	}
	var moved time.Duration
	err := db.transact(ctx, by, func(t *tx) error {
		err := t.QueryRow(ctx, `UPDATE instance SET moved = moved + $1 WHERE demo RETURNING moved`, d).Scan(&moved)
		if errors.Is(err, pgx.ErrNoRows) {
			return disclosure.Refuse("by", "Only the demo's time can be moved.")
		}
		if err != nil {
			return fmt.Errorf("move the time: %w", err)
		}
		t.note("instance.time-moved", string(db.instance), map[string]any{"by": d.String()})
		return t.notify(ctx, ChannelWork)
	})
	if err != nil {
		return err
	}
	db.moved.Store(int64(moved))
	return nil
}
