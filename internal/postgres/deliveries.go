package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// SendingNotices lists the notices work has to send from now: those with a
// go-ahead and deliveries due at the program's time; none while held.
func (db *DB) SendingNotices(ctx context.Context) ([]disclosure.NoticeID, error) {
	rows, err := db.pool.Query(ctx, `SELECT n.id FROM notice n JOIN go_ahead g ON g.release = n.release AND g.open AND g.generation = n.generation
		WHERE n.state IN ('sending', 'sent') AND EXISTS (SELECT FROM delivery d WHERE d.notice = n.id AND d.next_at <= $1 AND d.expires > $1)
			AND (SELECT held_since IS NULL FROM instance)
		ORDER BY n.id`, db.Now())
	if err != nil {
		return nil, fmt.Errorf("look for notices to send: %w", unavailable(err))
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[disclosure.NoticeID])
	if err != nil {
		return nil, fmt.Errorf("look for notices to send: %w", unavailable(err))
	}
	return ids, nil
}

// storedDelivery is a delivery with what is sealed of it.
type storedDelivery struct {
	disclosure.Delivery
	body    deliveryBody
	expires time.Time
}

func (d *storedDelivery) fill() {
	d.Recipient = d.body.recipient()
	d.MessageID, d.Digest, d.Reply = d.body.MessageID, d.body.Digest, d.body.Reply
}

const deliveryColumns = `d.id, d.notice, d.state, d.attempt, d.next_at, d.updated, d.answered, d.expires, d.sealed`

func (t *tx) scanDelivery(row pgx.Row, lr *loadedRelease) (*storedDelivery, error) {
	d := &storedDelivery{Delivery: disclosure.Delivery{Release: lr.ID}}
	var nextAt, answered *time.Time
	var sealed []byte
	if err := row.Scan(&d.ID, &d.Notice, &d.State, &d.Attempt, &nextAt, &d.Updated, &answered, &d.expires, &sealed); err != nil {
		return nil, err
	}
	d.NextAt, d.Answered, d.Updated, d.expires = timeOf(nextAt), timeOf(answered), d.Updated.UTC(), d.expires.UTC()
	err := openJSON(lr.key, t.db.aad("delivery", "sealed", string(d.ID), string(lr.ID), lr.keyVersion), sealed, &d.body)
	if err != nil {
		return nil, err
	}
	d.fill()
	return d, nil
}

// Ledger lists a notice's deliveries in order of the recipients' names, keys
// left out. Reading it is logged.
func (db *DB) Ledger(ctx context.Context, by disclosure.Caller, notice disclosure.NoticeID) ([]disclosure.Delivery, error) {
	if !by.Can(disclosure.Releaser) && !by.Can(disclosure.Admin) {
		return nil, disclosure.ErrForbidden
	}
	release, err := db.releaseOf(ctx, notice)
	if err != nil {
		return nil, err
	}
	var list []disclosure.Delivery
	err = db.transact(ctx, by, func(t *tx) error {
		lr, err := t.loadRelease(ctx, release, forShow)
		if err != nil {
			return err
		}
		if !lr.VisibleTo(by) {
			return fmt.Errorf("notice %s: %w", notice, disclosure.ErrNotFound)
		}
		rows, err := t.Query(ctx, `SELECT `+deliveryColumns+` FROM delivery d WHERE d.notice = $1`, notice)
		if err != nil {
			return fmt.Errorf("read the ledger of notice %s: %w", notice, err)
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (disclosure.Delivery, error) {
			d, err := t.scanDelivery(row, lr)
			if err != nil {
				return disclosure.Delivery{}, err
			}
			return d.Delivery, nil
		})
		if err != nil {
			return fmt.Errorf("read the ledger of notice %s: %w", notice, err)
		}
		return t.opened(ctx, "ledger.opened", string(notice))
	})
	slices.SortFunc(list, func(a, b disclosure.Delivery) int {
		return cmp.Or(cmp.Compare(strings.ToLower(a.Recipient.Name), strings.ToLower(b.Recipient.Name)), cmp.Compare(a.ID, b.ID))
	})
	return list, err
}

// updateDelivery locks a delivery's release and the delivery, and lets f say
// what its state becomes.
func (db *DB) updateDelivery(ctx context.Context, by disclosure.Caller, id disclosure.DeliveryID, kind string, f func(*tx, *loadedRelease, *storedDelivery) error) error {
	var release disclosure.ReleaseID
	err := db.pool.QueryRow(ctx, `SELECT n.release FROM delivery d JOIN notice n ON n.id = d.notice WHERE d.id = $1`, id).Scan(&release)
	if err != nil {
		return fmt.Errorf("delivery %s: %w", id, unavailable(notFound(err)))
	}
	return db.withRelease(ctx, by, release, nothingFirst, func(t *tx, lr *loadedRelease) error {
		if !by.Can(disclosure.Releaser) {
			return disclosure.ErrForbidden
		}
		d, err := t.scanDelivery(t.QueryRow(ctx, `SELECT `+deliveryColumns+` FROM delivery d WHERE d.id = $1 FOR UPDATE`, id), lr)
		if err != nil {
			return fmt.Errorf("delivery %s: %w", id, notFound(err))
		}
		if err := f(t, lr, d); err != nil {
			return err
		}
		sealed, err := sealJSON(lr.key, db.aad("delivery", "sealed", string(id), string(release), lr.keyVersion), d.body)
		if err != nil {
			return err
		}
		_, err = t.Exec(ctx, `UPDATE delivery SET state = $2, worker = NULL, until = NULL, next_at = $3,
				updated = CASE WHEN state = $2 THEN updated ELSE $4 END, answered = $5, sealed = $6
			WHERE id = $1`, id, d.State, orNull(d.NextAt), t.now, orNull(d.Answered), sealed)
		if err != nil {
			return fmt.Errorf("save delivery %s: %w", id, err)
		}
		t.note("delivery."+kind, string(id), nil)
		if err := t.settleGoAhead(ctx, release); err != nil {
			return err
		}
		return t.notify(ctx, ChannelWork)
	})
}

// Resend queues an uncertain or rejected delivery again, with the Message-ID
// it had. It needs a fresh second factor, and the approval to hold still.
func (db *DB) Resend(ctx context.Context, by disclosure.Caller, id disclosure.DeliveryID) error {
	return db.updateDelivery(ctx, by, id, "resent", func(t *tx, lr *loadedRelease, d *storedDelivery) error {
		if by.IsSystem() {
			return disclosure.ErrForbidden
		}
		if !by.SteppedUp(db.Wall()) {
			return disclosure.ErrStepUp
		}
		if err := t.mayLeave(ctx); err != nil {
			return err
		}
		n := lr.Notice(d.Notice)
		var refusal *disclosure.Refusal
		if d.State != disclosure.Uncertain && d.State != disclosure.Rejected {
			refusal = refusal.Add("state", fmt.Sprintf("This delivery is %s; only an uncertain or refused one is sent again.", d.State))
		}
		if n == nil || n.State != disclosure.NoticeSending && n.State != disclosure.NoticeSent || n.Generation != lr.Generation {
			refusal = refusal.Add("notice", "The release changed since this notice was sent. Draft a new notice.")
		}
		if !t.now.Before(d.expires) {
			refusal = refusal.Add("deadline", "The notice's deadline has passed.")
		}
		if err := refusal.Err(); err != nil {
			return err
		}
		d.State, d.NextAt = disclosure.Queued, t.now
		return nil
	})
}

// Resolve settles an uncertain delivery as a person found it: sent or not.
func (db *DB) Resolve(ctx context.Context, by disclosure.Caller, id disclosure.DeliveryID, sent bool) error {
	kind := map[bool]string{true: "found-sent", false: "found-unsent"}[sent]
	return db.updateDelivery(ctx, by, id, kind, func(_ *tx, _ *loadedRelease, d *storedDelivery) error {
		if d.State != disclosure.Uncertain {
			return disclosure.Refuse("state", fmt.Sprintf("This delivery is %s, not uncertain.", d.State))
		}
		d.State = disclosure.Canceled
		if sent {
			d.State = disclosure.Delivered
		}
		d.body.Reply = strings.TrimSpace(d.body.Reply + " (settled by " + by.Name + ")")
		return nil
	})
}

// DeliveryByToken finds the delivery a return path or a reply names; token is
// what Outgoing.Delivery.Token was. disclosure.ErrNotFound for any other.
// Recipient names the distributor or reporter, and no more.
func (db *DB) DeliveryByToken(ctx context.Context, token string) (disclosure.Delivery, error) {
	mac, err := db.tokenMAC(strings.ToLower(token))
	if err != nil {
		return disclosure.Delivery{}, err
	}
	var d disclosure.Delivery
	err = db.pool.QueryRow(ctx, `SELECT d.id, d.notice, n.release, d.state, coalesce(d.distributor, ''), coalesce(d.reporter, '')
		FROM delivery d JOIN notice n ON n.id = d.notice WHERE d.token = $1`, mac).
		Scan(&d.ID, &d.Notice, &d.Release, &d.State, &d.Recipient.Distributor, &d.Recipient.Reporter)
	if err != nil {
		return disclosure.Delivery{}, fmt.Errorf("find a delivery by its token: %w", unavailable(notFound(err)))
	}
	return d, nil
}

// Bounced notes that a delivery came back after the server had taken it. One
// that is not sent is left as it is.
func (db *DB) Bounced(ctx context.Context, id disclosure.DeliveryID, text string) error {
	err := db.updateDelivery(ctx, disclosure.System("arrivals"), id, "bounced", func(t *tx, lr *loadedRelease, d *storedDelivery) error {
		if d.State != disclosure.Delivered && d.State != disclosure.Uncertain {
			return errNothing
		}
		d.State, d.body.Reply = disclosure.Rejected, text
		return t.alertMembers(ctx, []disclosure.Alert{{Kind: disclosure.AlertDelivery, Ref: "/releases/" + string(lr.ID)}}, "")
	})
	return ignoreNothing(err)
}

// Answered notes that the recipient replied, in any wording.
func (db *DB) Answered(ctx context.Context, id disclosure.DeliveryID) error {
	err := db.updateDelivery(ctx, disclosure.System("arrivals"), id, "answered", func(t *tx, _ *loadedRelease, d *storedDelivery) error {
		if !d.Answered.IsZero() {
			return errNothing
		}
		d.Answered = t.now
		if d.State == disclosure.Uncertain { // who replies has it
			d.State = disclosure.Delivered
		}
		return nil
	})
	return ignoreNothing(err)
}

func ignoreNothing(err error) error {
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}
