package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// How long sessions live, wall time.
const (
	SessionIdle = 12 * time.Hour
	SessionLife = 7 * 24 * time.Hour
	// sessionTouch is how stale "seen" may become before it is written anew, so
	// that not every request writes.
	sessionTouch = time.Minute
)

// ErrUsedCode: the second factor's code was used before, perhaps just now.
var ErrUsedCode = errors.New("this code was used already; wait for the next one")

// Session is one signed-in browser.
type Session struct {
	Hash     []byte // SHA-256 of the cookie
	Member   Member
	Caller   disclosure.Caller
	Created  time.Time // wall time, all three
	Seen     time.Time
	Verified time.Time // last step-up
	Agent    string    // browser family
}

// NewSession begins one for a member whose password and code were checked.
// step is the code's; a step not after the last one is ErrUsedCode, so that of
// two uses at once only one succeeds. Signing in counts as a step-up.
func (db *DB) NewSession(ctx context.Context, member disclosure.MemberID, step int64, hash []byte, agent string) error {
	m, err := db.oneMember(ctx, `id = $1 AND disabled IS NULL`, member)
	if err != nil {
		return err
	}
	return db.transact(ctx, m.Caller(), func(t *tx) error {
		if err := t.useStep(ctx, member, step); err != nil {
			return err
		}
		wall := db.Wall()
		if len(agent) > 100 {
			agent = agent[:100]
		}
		_, err := t.Exec(ctx, `INSERT INTO session (hash, member, created, seen, verified, agent)
			VALUES ($1, $2, $3, $3, $3, $4)`, hash, member, wall, agent)
		if err != nil {
			return fmt.Errorf("begin a session: %w", err)
		}
		t.note("session.began", string(member), nil)
		return nil
	})
}

// NewLinkSession begins one for whoever holds a one-time sign-in link of the
// demo; production never calls it. It does not count as a step-up.
func (db *DB) NewLinkSession(ctx context.Context, member disclosure.MemberID, hash []byte, agent string) error {
	m, err := db.oneMember(ctx, `id = $1 AND disabled IS NULL AND (SELECT demo FROM instance)`, member)
	if err != nil {
		return err
	}
	return db.transact(ctx, m.Caller(), func(t *tx) error {
		_, err := t.Exec(ctx, `INSERT INTO session (hash, member, created, seen, agent) VALUES ($1, $2, $3, $3, $4)`,
			hash, member, db.Wall(), agent)
		if err != nil {
			return fmt.Errorf("begin a session: %w", err)
		}
		t.note("session.began", string(member), nil)
		return nil
	})
}

// useStep compares and sets.
func (t *tx) useStep(ctx context.Context, member disclosure.MemberID, step int64) error {
	tag, err := t.Exec(ctx, `UPDATE member SET totp_step = $2 WHERE id = $1 AND totp_step < $2 AND disabled IS NULL`, member, step)
	if err != nil {
		return fmt.Errorf("use the code: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return ErrUsedCode
	}
	return nil
}

// Session finds a live one and notes that it was used. One that is idle for
// SessionIdle, older than SessionLife, or whose member is disabled, is
// ErrNotFound.
func (db *DB) Session(ctx context.Context, hash []byte) (Session, error) {
	wall := db.Wall()
	rows, err := db.pool.Query(ctx, `SELECT `+prefixed("m", memberColumns)+`, s.created, s.seen, s.verified, s.agent
		FROM session s JOIN member m ON m.id = s.member
		WHERE s.hash = $1 AND s.created > $2 AND s.seen > $3 AND m.disabled IS NULL`,
		hash, wall.Add(-SessionLife), wall.Add(-SessionIdle))
	if err != nil {
		return Session{}, fmt.Errorf("read the session: %w", unavailable(err))
	}
	s, err := pgx.CollectExactlyOneRow(rows, scanSession)
	if err != nil {
		return Session{}, fmt.Errorf("read the session: %w", unavailable(notFound(err)))
	}
	s.Hash = hash
	if wall.Sub(s.Seen) >= sessionTouch {
		_, err := db.pool.Exec(ctx, `UPDATE session SET seen = $2 WHERE hash = $1 AND seen < $2`, hash, wall)
		if err != nil {
			return Session{}, fmt.Errorf("note the session: %w", unavailable(err))
		}
		s.Seen = wall
	}
	return s, nil
}

func scanSession(r pgx.CollectableRow) (s Session, err error) {
	var verified *time.Time
	s.Member, err = scanMember(r, &s.Created, &s.Seen, &verified, &s.Agent)
	s.Created, s.Seen, s.Verified = s.Created.UTC(), s.Seen.UTC(), timeOf(verified)
	s.Caller = s.Member.Caller()
	s.Caller.Verified = s.Verified
	return s, err
}

// Verified notes a step-up made with the code of the given step.
func (db *DB) Verified(ctx context.Context, hash []byte, step int64) error {
	s, err := db.Session(ctx, hash)
	if err != nil {
		return err
	}
	return db.transact(ctx, s.Caller, func(t *tx) error {
		if err := t.useStep(ctx, s.Member.ID, step); err != nil {
			return err
		}
		tag, err := t.Exec(ctx, `UPDATE session SET verified = $2 WHERE hash = $1`, hash, db.Wall())
		if err != nil {
			return fmt.Errorf("note the step-up: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return disclosure.ErrNotFound
		}
		t.note("session.verified", string(s.Member.ID), nil)
		return nil
	})
}

// EndSession ends the session of the cookie at hand. None such is no error.
func (db *DB) EndSession(ctx context.Context, hash []byte) error {
	_, err := db.pool.Exec(ctx, `DELETE FROM session WHERE hash = $1`, hash)
	if err != nil {
		return fmt.Errorf("end the session: %w", unavailable(err))
	}
	return nil
}

// EndOwnSession ends one of the caller's own, from the list of them.
func (db *DB) EndOwnSession(ctx context.Context, by disclosure.Caller, hash []byte) error {
	tag, err := db.pool.Exec(ctx, `DELETE FROM session WHERE hash = $1 AND member = $2`, hash, by.Member)
	if err != nil {
		return fmt.Errorf("end the session: %w", unavailable(err))
	}
	if tag.RowsAffected() == 0 {
		return disclosure.ErrNotFound
	}
	return nil
}

// EndAll ends every session of a member: one's own, or anybody's as an admin.
func (db *DB) EndAll(ctx context.Context, by disclosure.Caller, member disclosure.MemberID) error {
	if by.Member != member && !by.Can(disclosure.Admin) {
		return disclosure.ErrForbidden
	}
	return db.transact(ctx, by, func(t *tx) error {
		if _, err := t.Exec(ctx, `DELETE FROM session WHERE member = $1`, member); err != nil {
			return fmt.Errorf("end the sessions: %w", err)
		}
		t.note("session.all-ended", string(member), nil)
		return nil
	})
}

// Sessions lists the caller's own live ones, the latest used first.
func (db *DB) Sessions(ctx context.Context, by disclosure.Caller) ([]Session, error) {
	wall := db.Wall()
	rows, err := db.pool.Query(ctx, `SELECT `+prefixed("m", memberColumns)+`, s.created, s.seen, s.verified, s.agent, s.hash
		FROM session s JOIN member m ON m.id = s.member
		WHERE s.member = $1 AND s.created > $2 AND s.seen > $3 ORDER BY s.seen DESC, s.hash`,
		by.Member, wall.Add(-SessionLife), wall.Add(-SessionIdle))
	if err != nil {
		return nil, fmt.Errorf("read the sessions: %w", unavailable(err))
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (s Session, err error) {
		var verified *time.Time
		s.Member, err = scanMember(r, &s.Created, &s.Seen, &verified, &s.Agent, &s.Hash)
		s.Created, s.Seen, s.Verified = s.Created.UTC(), s.Seen.UTC(), timeOf(verified)
		s.Caller = s.Member.Caller()
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the sessions: %w", unavailable(err))
	}
	return list, nil
}

// Failed tries are counted per key, an HMAC made by the caller: the first few
// are free, each further one doubles the wait, up to an hour.
const (
	attemptsFree = 5
	attemptFirst = 30 * time.Second
	attemptMost  = time.Hour

	anywhereFree = 100         // for one name from wherever it comes
	anywhereMost = time.Minute // short: somebody else must not shut the member out
	attemptStale = 24 * time.Hour
)

// Attempt asks for one try and counts it as failed at once, so that many at
// the same time are not all let through. A wait above zero means: refused, and
// not counted.
func (db *DB) Attempt(ctx context.Context, key []byte) (wait time.Duration, err error) {
	return db.attempt(ctx, key, attemptsFree, attemptMost)
}

// AttemptAnywhere is Attempt for a name whoever tries it: many more tries are
// free, and the wait is never longer than a minute. It slows down who guesses
// from many addresses; Attempt, with the address in its key, slows down one.
func (db *DB) AttemptAnywhere(ctx context.Context, key []byte) (wait time.Duration, err error) {
	return db.attempt(ctx, key, anywhereFree, anywhereMost)
}

func (db *DB) attempt(ctx context.Context, key []byte, free int, most time.Duration) (wait time.Duration, err error) {
	wall := db.Wall()
	err = unavailable(pgx.BeginFunc(ctx, db.pool, func(p pgx.Tx) error {
		_, err := p.Exec(ctx, `INSERT INTO attempt (key, failed, until) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING`, key, wall)
		if err != nil {
			return err
		}
		var failed int
		var until time.Time
		if err := p.QueryRow(ctx, `SELECT failed, until FROM attempt WHERE key = $1 FOR UPDATE`, key).Scan(&failed, &until); err != nil {
			return err
		}
		if wait = until.Sub(wall); wait > 0 {
			return nil
		}
		wait = 0
		if wall.Sub(until) > attemptStale {
			failed = 0
		}
		failed++
		next := wall
		if over := failed - free; over >= 0 {
			next = wall.Add(min(most, attemptFirst<<min(over, 10)))
		}
		_, err = p.Exec(ctx, `UPDATE attempt SET failed = $2, until = $3 WHERE key = $1`, key, failed, next)
		return err
	}))
	if err != nil {
		return 0, fmt.Errorf("count the attempt: %w", err)
	}
	return wait, nil
}

// AttemptSucceeded forgets the key's failures.
func (db *DB) AttemptSucceeded(ctx context.Context, key []byte) error {
	if _, err := db.pool.Exec(ctx, `DELETE FROM attempt WHERE key = $1`, key); err != nil {
		return fmt.Errorf("forget the attempts: %w", unavailable(err))
	}
	return nil
}

// SweepSessions removes what has run out: dead sessions, stale attempts, and
// alerts that have been over for 90 days.
func (db *DB) SweepSessions(ctx context.Context) error {
	wall := db.Wall()
	batch := &pgx.Batch{}
	batch.Queue(`DELETE FROM session WHERE created <= $1 OR seen <= $2`, wall.Add(-SessionLife), wall.Add(-SessionIdle))
	batch.Queue(`DELETE FROM attempt WHERE until < $1`, wall.Add(-attemptStale))
	batch.Queue(`DELETE FROM alert WHERE next_at IS NULL AND made < $1`, db.Now().AddDate(0, 0, -90))
	if err := db.pool.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("sweep the sessions: %w", unavailable(err))
	}
	return nil
}
