package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// Around is what every page of the desk shows beside its own matter. It is
// read in one go: a page waits for its round trips more than for anything else.
type Around struct {
	Policy       *disclosure.Policy // the newest; nil: none was ever applied. Shared: do not change it
	Held         Held
	Paused       string // the public notice while intake is paused by the switch
	Applications int    // to be decided; none for who may not see them

	version int // of Policy
}

// Around reads it for a page.
func (db *DB) Around(ctx context.Context, by disclosure.Caller) (a Around, err error) {
	batch := &pgx.Batch{}
	queueAround(batch, by, &a)
	if err := db.pool.SendBatch(ctx, batch).Close(); err != nil {
		return a, fmt.Errorf("read what is around a page: %w", unavailable(notFound(err)))
	}
	return a, db.addPolicy(ctx, &a)
}

func queueAround(batch *pgx.Batch, by disclosure.Caller, a *Around) {
	batch.Queue(`SELECT held_since, held_because, paused, (SELECT coalesce(max(version), 0) FROM policy),
			CASE WHEN $1 THEN (SELECT count(*) FROM application WHERE state = 'received') ELSE 0 END
		FROM instance`, disclosure.SeesApplications(by)).QueryRow(func(row pgx.Row) error {
		var since *time.Time
		err := row.Scan(&since, &a.Held.Because, &a.Paused, &a.version, &a.Applications)
		a.Held.Since = timeOf(since)
		return err
	})
}

// addPolicy adds the policy that was the newest when the rest was read.
func (db *DB) addPolicy(ctx context.Context, a *Around) (err error) {
	if a.version > 0 {
		a.Policy, err = db.policy(ctx, db.pool, a.version)
	}
	return err
}
