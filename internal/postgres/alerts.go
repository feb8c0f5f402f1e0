package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// alertMembers makes one row per alert and active member who wants the kind
// and may see what it is about: the case, or, when c is empty, every case of
// the release or none at all. An alert with a member named reaches that one.
// Several cases may come at once: rows of a member that still wait for the
// same kind and ref are not made twice.
func (t *tx) alertMembers(ctx context.Context, alerts []disclosure.Alert, c disclosure.CaseID) error {
	if len(alerts) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for _, a := range alerts {
		a, err := t.addressed(ctx, a)
		if err != nil {
			return err
		}
		batch.Queue(`INSERT INTO alert (id, member, kind, ref, number, made, next_at, message_id)
			SELECT replace(gen_random_uuid()::text, '-', ''), m.id, $1::text, $2::text, $3, $4, $4, replace(gen_random_uuid()::text, '-', '')
			FROM member m
			WHERE m.disabled IS NULL AND m.password IS NOT NULL
				AND CASE WHEN $5 <> '' THEN m.id = $5 ELSE $1 = ANY(m.alerts) AND ($7 OR m.roles && '{triager,releaser,admin}') END
				AND ($6 = '' OR m.roles && '{triager,releaser,admin}' AND EXISTS (SELECT FROM cases c WHERE c.id = $6
					AND (NOT c.restricted OR c.owner = m.id OR EXISTS (SELECT FROM case_access x WHERE x.case_id = c.id AND x.member = m.id))))
				AND ($9 = '' OR NOT EXISTS (SELECT FROM cases c WHERE c.release = $9 AND c.restricted AND c.owner IS DISTINCT FROM m.id
					AND NOT EXISTS (SELECT FROM case_access x WHERE x.case_id = c.id AND x.member = m.id)))
				AND (NOT $10 OR 'admin' = ANY(m.roles))
				AND m.id <> $8
				AND NOT EXISTS (SELECT FROM alert w WHERE w.member = m.id AND w.kind = $1 AND w.ref = $2 AND w.next_at IS NOT NULL)`,
			string(a.Kind), a.Ref, a.Number, t.now, string(a.To), string(c), aboutInstance(a.Kind), string(t.by.Member),
			aboutRelease(a.Ref), strings.HasPrefix(a.Ref, "/applications"))
	}
	if err := t.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("alert the members: %w", err)
	}
	return t.notify(ctx, ChannelWork)
}

// aboutRelease is the release's id in a ref; empty when it is about none.
func aboutRelease(ref string) string {
	id, ok := strings.CutPrefix(ref, "/releases/")
	if !ok {
		return ""
	}
	id, _, _ = strings.Cut(id, "/")
	return id
}

// aboutInstance: what auditors may be told of as well.
func aboutInstance(k disclosure.AlertKind) bool {
	return k == disclosure.AlertHeld || k == disclosure.AlertLocked
}

// DueAlert is a mail to write: a fixed text with an id and a link.
type DueAlert struct {
	ID          string
	Kind        disclosure.AlertKind
	Ref         string // path at the desk, made of ids alone
	Number      int
	Made        time.Time
	Attempt     int    // this one, from 1
	MessageID   string // left of the @; the same at every attempt
	Address     string
	Name        string
	Certificate []byte // nil: the fixed text goes in clear
}

// alertAttempts is how often a mail is tried before it is given up.
const alertAttempts = 10

// DueAlerts takes alerts to send. They come again after a while, longer each
// time, unless AlertSent is called. It needs no unlocked vault, and is not
// kept back while the instance is held. Whoever was disabled meanwhile gets none,
// and none of applications who is no admin any more.
func (db *DB) DueAlerts(ctx context.Context, limit int) ([]DueAlert, error) {
	now := db.Now()
	rows, err := db.pool.Query(ctx, `UPDATE alert a SET attempt = a.attempt + 1,
			next_at = CASE WHEN a.attempt + 1 >= $3 THEN NULL ELSE $1::timestamptz + interval '1 minute' * power(2, a.attempt) END
		FROM member m WHERE m.id = a.member AND a.id IN (
			SELECT d.id FROM alert d JOIN member x ON x.id = d.member WHERE d.next_at <= $1 AND x.disabled IS NULL
				AND (d.ref NOT LIKE '/applications%' OR 'admin' = ANY(x.roles))
			ORDER BY d.next_at, d.id LIMIT $2 FOR UPDATE OF d SKIP LOCKED)
		RETURNING a.id, a.kind, a.ref, a.number, a.made, a.attempt, a.message_id, m.address, m.name, m.certificate`, now, limit, alertAttempts)
	if err != nil {
		return nil, fmt.Errorf("take the alerts that are due: %w", unavailable(err))
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (a DueAlert, err error) {
		err = r.Scan(&a.ID, &a.Kind, &a.Ref, &a.Number, &a.Made, &a.Attempt, &a.MessageID, &a.Address, &a.Name, &a.Certificate)
		a.Made = a.Made.UTC()
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("take the alerts that are due: %w", unavailable(err))
	}
	return list, nil
}

// AlertSent says that an alert was mailed.
func (db *DB) AlertSent(ctx context.Context, id string) error {
	if _, err := db.pool.Exec(ctx, `UPDATE alert SET sent = $2, next_at = NULL WHERE id = $1`, id, db.Now()); err != nil {
		return fmt.Errorf("note the alert: %w", unavailable(err))
	}
	return nil
}

// AlertFailed says that an alert could not be mailed now; it comes again when
// its time has come, which DueAlerts has set already.
func (db *DB) AlertFailed(ctx context.Context, id string) error {
	var over bool
	err := db.pool.QueryRow(ctx, `SELECT next_at IS NULL FROM alert WHERE id = $1`, id).Scan(&over)
	if err != nil {
		return fmt.Errorf("look at the alert: %w", unavailable(notFound(err)))
	}
	if over {
		db.log.Warn("an alert is given up: it could not be mailed", "alert", id, "attempts", alertAttempts)
	}
	return nil
}

// lockedAlertEvery is how often members are told that reports wait.
const lockedAlertEvery = 6 * time.Hour

// AlertLocked tells members that reports wait while the vault is locked, at
// most every six hours, and notes since when it is. Once it is unlocked the
// note is taken away. It is called by work now and then, and reads nothing
// that is sealed.
func (db *DB) AlertLocked(ctx context.Context) error {
	v := db.vault.Load()
	if v == nil {
		return nil
	}
	if v.Unlocked() {
		if _, err := db.pool.Exec(ctx, `UPDATE instance SET locked_since = NULL WHERE locked_since IS NOT NULL`); err != nil {
			return fmt.Errorf("note that the vault is unlocked: %w", unavailable(err))
		}
		return nil
	}
	return db.transact(ctx, disclosure.System("alerts"), func(t *tx) error {
		if _, err := t.Exec(ctx, `UPDATE instance SET locked_since = $1 WHERE locked_since IS NULL`, t.now); err != nil {
			return fmt.Errorf("note that the vault is locked: %w", err)
		}
		var waiting int
		var told bool
		err := t.QueryRow(ctx, `SELECT (SELECT count(*) FROM arrival WHERE opened IS NULL),
			EXISTS (SELECT FROM alert WHERE kind = $1 AND made > $2)`, string(disclosure.AlertLocked), t.now.Add(-lockedAlertEvery)).Scan(&waiting, &told)
		if err != nil {
			return fmt.Errorf("count what waits: %w", err)
		}
		if waiting == 0 || told {
			return nil
		}
		return t.alertMembers(ctx, []disclosure.Alert{{Kind: disclosure.AlertLocked, Ref: "/unlock", Number: waiting}}, "")
	})
}

// LockedSince is when work first found the vault locked; zero: it is not.
func (db *DB) LockedSince(ctx context.Context) (time.Time, error) {
	var since *time.Time
	if err := db.pool.QueryRow(ctx, `SELECT locked_since FROM instance`).Scan(&since); err != nil {
		return time.Time{}, fmt.Errorf("ask since when the vault is locked: %w", unavailable(notFound(err)))
	}
	return timeOf(since), nil
}
