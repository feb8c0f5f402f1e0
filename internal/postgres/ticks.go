package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// WakeCases lets every case whose time has come tick, at most limit of them,
// and says how many there were. Each is a transaction of its own, so that one
// that cannot be opened keeps no other waiting. Work calls it.
func (db *DB) WakeCases(ctx context.Context, by disclosure.Caller, limit int) (n int, err error) {
	if !by.IsSystem() {
		return 0, disclosure.ErrForbidden
	}
	if _, err := db.deskKey(); err != nil {
		return 0, err
	}
	rows, err := db.pool.Query(ctx, `SELECT id FROM cases WHERE wake_at <= $1 ORDER BY wake_at, id LIMIT $2`, db.Now(), limit)
	if err != nil {
		return 0, fmt.Errorf("look for cases to wake: %w", unavailable(err))
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[disclosure.CaseID])
	if err != nil {
		return 0, fmt.Errorf("look for cases to wake: %w", unavailable(err))
	}
	var failed []error
	for _, id := range ids {
		woken, err := db.wakeCase(ctx, by, id)
		if woken {
			n++
		}
		switch {
		case err == nil:
		case stopsAll(ctx, err):
			return n, err
		default:
			failed = append(failed, fmt.Errorf("wake case %s: %w", id, err))
			if _, err := db.pool.Exec(ctx, `UPDATE cases SET wake_at = $2 WHERE id = $1 AND wake_at < $2`, id, db.Now().Add(badRowWaits)); err != nil {
				return n, fmt.Errorf("put case %s off: %w", id, unavailable(err))
			}
		}
	}
	return n, errors.Join(failed...)
}

func (db *DB) wakeCase(ctx context.Context, by disclosure.Caller, id disclosure.CaseID) (woken bool, err error) {
	err = db.transact(ctx, by, func(t *tx) error {
		woken = false
		// A tick changes nothing of a release, so its row is not locked.
		var mine bool
		err := t.QueryRow(ctx, `SELECT true FROM cases WHERE id = $1 AND wake_at <= $2 FOR NO KEY UPDATE SKIP LOCKED`, id, t.now).Scan(&mine)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("lock the case: %w", err)
		}
		c, err := t.loadCase(ctx, id, true)
		if err != nil {
			return err
		}
		woken = true
		c.Tick(t.now)
		return t.saveCase(ctx, c)
	})
	return woken, err
}
