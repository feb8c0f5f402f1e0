package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// settle stores what became of a mail, closes its journal row and claims the
// next delivery, all with the commit in one round trip. store outlives ctx.
func (s *sender) settle(store, ctx context.Context, c claim, st state, o disclosure.Outcome) (*claim, error) {
	store, cancel := context.WithTimeout(store, 15*time.Second)
	defer cancel()
	update, err := s.outcomeRows(c, st, o)
	if err != nil {
		s.rollback(store)
		return nil, err
	}
	goOn := o.State != disclosure.Queued && ctx.Err() == nil
	b := &pgx.Batch{}
	update(b)
	var next *claim
	if goOn {
		b.Queue(claimNext, s.claimArgs()...).QueryRow(func(row pgx.Row) (err error) {
			next, err = scanClaim(row)
			return err
		})
	}
	b.Queue(`COMMIT`)
	err = s.conn.SendBatch(store, b).Close()
	if err == nil {
		if !goOn {
			return nil, errStop
		}
		return next, nil
	}
	// The mail may have left, so its outcome must not be lost with this
	// connection. Rows are found by worker and attempt: nothing happens twice.
	s.rollback(store)
	again := &pgx.Batch{}
	update(again)
	err = errors.Join(fmt.Errorf("store the outcome of delivery %s: %w", c.id, unavailable(err)), s.db.pool.SendBatch(store, again).Close())
	return nil, err
}

// outcomeRows prepares the two statements that store an outcome.
func (s *sender) outcomeRows(c claim, st state, o disclosure.Outcome) (func(*pgx.Batch), error) {
	now := s.now()
	body, as := st.body, o.State
	var nextAt *time.Time
	switch o.State {
	case disclosure.Delivered:
		body.Digest = o.Digest
	case disclosure.Rejected, disclosure.Canceled, disclosure.Expired, disclosure.Uncertain:
	case disclosure.Queued:
		nextAt = &now
	case disclosure.Deferred:
		at := now.Add(backOff(c.attempt))
		if at.After(st.expires) { // the sweeper lets it expire
			at = st.expires
		}
		nextAt = &at
	default:
		as = disclosure.Uncertain
		o.Text = fmt.Sprintf("the sender answered %q; %s", o.State, o.Text)
	}
	body.Reply = o.Text
	sealed, err := sealJSON(s.key, s.place(c.id), body)
	if err != nil {
		return nil, err
	}
	place := s.place(c.id)
	place.Table = "delivery_attempt"
	words := s.key.Seal(place, []byte(o.Text))
	outcome := string(as)
	if as == disclosure.Queued {
		outcome = "unsent"
	}
	return func(b *pgx.Batch) {
		b.Queue(`UPDATE delivery SET state = $4, worker = NULL, until = NULL, next_at = $5, updated = $6, sealed = $7
			WHERE id = $1 AND worker = $2 AND attempt = $3`, c.id, s.db.worker, c.attempt, as, nextAt, now, sealed)
		b.Queue(`UPDATE delivery_attempt SET ended = $4, outcome = $5, sealed = $6
			WHERE delivery = $1 AND worker = $2 AND attempt = $3 AND ended IS NULL`, c.id, s.db.worker, c.attempt, now, outcome, words)
	}, nil
}

// putBack returns a claimed delivery of which nothing was sent. Whoever closed
// the go-ahead may be canceling the notice: its row is waited for, so that the
// delivery is queued again only if the notice still is being sent.
func (s *sender) putBack(ctx context.Context, c claim, st state) error {
	err := pgx.BeginFunc(ctx, s.conn, func(tx pgx.Tx) error {
		var live bool
		err := tx.QueryRow(ctx, `SELECT n.state IN ('sending', 'sent') FROM notice n WHERE n.id = $1 FOR SHARE`, s.id).Scan(&live)
		if err != nil {
			return err
		}
		as, nextAt, now := disclosure.Canceled, (*time.Time)(nil), s.now()
		if live {
			as, nextAt = disclosure.Queued, &now
		}
		b := &pgx.Batch{}
		b.Queue(`UPDATE delivery SET state = $4, worker = NULL, until = NULL, next_at = $5, updated = $6
			WHERE id = $1 AND worker = $2 AND attempt = $3`, c.id, s.db.worker, c.attempt, as, nextAt, now)
		b.Queue(`UPDATE delivery_attempt SET ended = $4, outcome = 'unsent'
			WHERE delivery = $1 AND worker = $2 AND attempt = $3 AND ended IS NULL`, c.id, s.db.worker, c.attempt, now)
		return tx.SendBatch(ctx, b).Close()
	})
	switch {
	case err != nil:
		return fmt.Errorf("put delivery %s back: %w", c.id, unavailable(err))
	case st.held:
		return disclosure.ErrHeld
	}
	return errStop
}

// afterDelivering writes the log, counts what is left, and ends the notice
// when nothing is.
func (db *DB) afterDelivering(ctx context.Context, s *sender, failed error) (int, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if s.settled > 0 {
		failed = errors.Join(failed, db.logDeliveries(ctx))
	}
	left, err := db.leftOf(ctx, db.pool, s.id)
	if err == nil && left == 0 && s.release != "" {
		err = db.finishNotice(ctx, s.release, s.id)
	}
	return left, errors.Join(failed, err)
}

func (db *DB) leftOf(ctx context.Context, q queryer, id disclosure.NoticeID) (left int, err error) {
	err = q.QueryRow(ctx, `SELECT count(*) FROM delivery WHERE notice = $1 AND state IN ('queued', 'sending', 'deferred')`, id).Scan(&left)
	if err != nil {
		return 0, fmt.Errorf("count what is left of notice %s: %w", id, unavailable(err))
	}
	return left, nil
}

// finishNotice makes the notice sent when each of its deliveries is over.
func (db *DB) finishNotice(ctx context.Context, release disclosure.ReleaseID, id disclosure.NoticeID) error {
	var open bool // most often somebody else was first: look before locking
	err := db.pool.QueryRow(ctx, `SELECT n.state = 'sending' OR g.open FROM notice n JOIN go_ahead g ON g.release = n.release
		WHERE n.id = $1 AND n.state IN ('sending', 'sent')`, id).Scan(&open)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !open {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at notice %s: %w", id, unavailable(err))
	}
	return db.updateRelease(ctx, disclosure.System("deliveries"), release, func(t *tx, lr *loadedRelease) error {
		left, err := db.leftOf(ctx, t, id)
		if err != nil {
			return err
		}
		n := lr.Notice(id)
		switch {
		case left > 0 || n == nil:
			return errNothing
		case n.State == disclosure.NoticeSending:
			return lr.NoticeSent(id, t.by, t.now)
		case n.State == disclosure.NoticeSent: // the last of those sent again; saving sets the go-ahead
			return nil
		}
		return errNothing
	})
}

// logDeliveries writes one row of the log for each outcome that has none yet,
// many in one transaction: the log's head is never waited for while a mail is
// handed over. What needs a person is told to the members.
func (db *DB) logDeliveries(ctx context.Context) error {
	for {
		var n int
		err := db.transact(ctx, disclosure.System("deliveries"), func(t *tx) error {
			rows, err := t.Query(ctx, `WITH ended AS (SELECT delivery, attempt FROM delivery_attempt WHERE ended IS NOT NULL AND NOT logged
					ORDER BY ended LIMIT 500 FOR UPDATE SKIP LOCKED)
				UPDATE delivery_attempt a SET logged = true FROM ended e, delivery d, notice n
				WHERE a.delivery = e.delivery AND a.attempt = e.attempt AND d.id = a.delivery AND n.id = d.notice
				RETURNING a.delivery, a.attempt, a.outcome, n.id, n.release`)
			if err != nil {
				return fmt.Errorf("look for outcomes to log: %w", err)
			}
			var delivery, outcome, notice, release string
			var attempt int
			worry := map[string]bool{}
			n = 0
			_, err = pgx.ForEachRow(rows, []any{&delivery, &attempt, &outcome, &notice, &release}, func() error {
				n++
				t.note("delivery."+outcome, delivery, map[string]any{"attempt": attempt, "notice": notice})
				if o := disclosure.DeliveryState(outcome); o == disclosure.Rejected || o == disclosure.Uncertain || o == disclosure.Expired {
					worry[release] = true
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("log outcomes: %w", err)
			}
			var alerts []disclosure.Alert
			for id := range worry {
				alerts = append(alerts, disclosure.Alert{Kind: disclosure.AlertDelivery, Ref: "/releases/" + id})
			}
			return t.alertMembers(ctx, alerts, "")
		})
		if err != nil || n < 500 {
			return err
		}
	}
}

// SweepDeliveries turns deliveries whose worker is past its deadline into
// uncertain ones, lets those past their own deadline expire, writes the log
// rows that are still missing, and ends notices of which nothing is left. It
// says how many deliveries it changed. A delivery whose worker is alive is
// locked, and left alone however long it takes.
func (db *DB) SweepDeliveries(ctx context.Context) (int, error) {
	var n int
	err := db.transact(ctx, disclosure.System("deliveries"), func(t *tx) error {
		n = 0
		for _, sweep := range []struct{ sql, note string }{
			{`WITH x AS (SELECT id, attempt FROM delivery WHERE until < $1 ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED),
				d AS (UPDATE delivery d SET state = 'uncertain', worker = NULL, until = NULL, updated = $2 FROM x WHERE d.id = x.id),
				j AS (UPDATE delivery_attempt a SET ended = $2, outcome = 'uncertain' FROM x
					WHERE a.delivery = x.id AND a.attempt = x.attempt AND a.ended IS NULL)
				SELECT id FROM x`, ""}, // its journal row is logged with the others
			{`WITH x AS (SELECT id FROM delivery WHERE next_at IS NOT NULL AND expires <= $2 AND $1::timestamptz IS NOT NULL
					ORDER BY id LIMIT 1000 FOR UPDATE SKIP LOCKED),
				d AS (UPDATE delivery d SET state = 'expired', next_at = NULL, updated = $2 FROM x WHERE d.id = x.id)
				SELECT id FROM x`, "delivery.expired"},
			{`WITH x AS (SELECT d.id FROM delivery d JOIN notice n ON n.id = d.notice WHERE d.next_at IS NOT NULL
					AND n.state NOT IN ('sending', 'sent') AND $1::timestamptz IS NOT NULL ORDER BY d.id LIMIT 1000 FOR UPDATE OF d SKIP LOCKED),
				d AS (UPDATE delivery d SET state = 'canceled', next_at = NULL, updated = $2 FROM x WHERE d.id = x.id)
				SELECT id FROM x`, "delivery.canceled"},
		} {
			rows, err := t.Query(ctx, sweep.sql, db.Wall(), t.now)
			if err != nil {
				return fmt.Errorf("sweep the deliveries: %w", err)
			}
			ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return fmt.Errorf("sweep the deliveries: %w", err)
			}
			for _, id := range ids {
				if sweep.note != "" {
					t.note(sweep.note, id, nil)
				}
			}
			n += len(ids)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := db.logDeliveries(ctx); err != nil {
		return n, err
	}
	return n, db.finishNotices(ctx)
}

func (db *DB) finishNotices(ctx context.Context) error {
	rows, err := db.pool.Query(ctx, `SELECT id, release FROM notice n WHERE state = 'sending' AND NOT EXISTS
		(SELECT FROM delivery d WHERE d.notice = n.id AND d.state IN ('queued', 'sending', 'deferred'))`)
	if err != nil {
		return fmt.Errorf("look for notices to end: %w", unavailable(err))
	}
	type over struct {
		ID      disclosure.NoticeID
		Release disclosure.ReleaseID
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[over])
	if err != nil {
		return fmt.Errorf("look for notices to end: %w", unavailable(err))
	}
	for _, o := range list {
		if err := db.finishNotice(ctx, o.Release, o.ID); err != nil {
			return err
		}
	}
	return nil
}
