package postgres

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// Distributors reads the directory, in order of name, revoked ones last.
// Reading it is logged.
func (db *DB) Distributors(ctx context.Context, by disclosure.Caller) ([]disclosure.Distributor, error) {
	var list []disclosure.Distributor
	err := db.readDirectory(ctx, by, "", func(all []disclosure.Distributor) error {
		list = all
		return nil
	})
	return list, err
}

// Distributor reads one entry of the directory. Reading it is logged.
func (db *DB) Distributor(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID) (disclosure.Distributor, error) {
	var d disclosure.Distributor
	err := db.readDirectory(ctx, by, id, func(all []disclosure.Distributor) error {
		if len(all) == 0 {
			return fmt.Errorf("distributor %s: %w", id, disclosure.ErrNotFound)
		}
		d = all[0]
		return nil
	})
	return d, err
}

// OutboxOpened logs that the caller is shown mail that was kept: one by its
// name, or the list of them, both of which name distributors.
func (db *DB) OutboxOpened(ctx context.Context, by disclosure.Caller, name string) error {
	if !by.Can(disclosure.Admin) && !by.Can(disclosure.Releaser) {
		return disclosure.ErrForbidden
	}
	return db.transact(ctx, by, func(t *tx) error { return t.opened(ctx, "outbox.opened", name) })
}

// readDirectory reads one entry, or all when id is empty.
func (db *DB) readDirectory(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID, f func([]disclosure.Distributor) error) error {
	if !by.Can(disclosure.Admin) && !by.Can(disclosure.Releaser) {
		return disclosure.ErrForbidden
	}
	desk, err := db.deskKey()
	if err != nil {
		return err
	}
	return db.transact(ctx, by, func(t *tx) error {
		list, err := t.loadDistributors(ctx, desk, id)
		if err != nil {
			return err
		}
		if err := t.opened(ctx, "directory.opened", cmp.Or(string(id), "directory")); err != nil {
			return err
		}
		return f(list)
	})
}

func (t *tx) loadDistributor(ctx context.Context, desk vault.Key, id disclosure.DistributorID) (disclosure.Distributor, error) {
	var one int
	if err := t.QueryRow(ctx, `SELECT 1 FROM distributor WHERE id = $1 FOR NO KEY UPDATE`, id).Scan(&one); err != nil {
		return disclosure.Distributor{}, fmt.Errorf("distributor %s: %w", id, notFound(err))
	}
	list, err := t.loadDistributors(ctx, desk, id)
	if err != nil {
		return disclosure.Distributor{}, err
	}
	return list[0], nil
}

// loadDistributors loads one entry, or all when id is empty, with its keys.
func (t *tx) loadDistributors(ctx context.Context, desk vault.Key, id disclosure.DistributorID) ([]disclosure.Distributor, error) {
	rows, err := t.Query(ctx, `SELECT id, enrolled, revoked, sealed, version FROM distributor WHERE $1 = '' OR id = $1`, string(id))
	if err != nil {
		return nil, fmt.Errorf("read the directory: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d disclosure.Distributor, err error) {
		var revoked *time.Time
		var sealed []byte
		if err := row.Scan(&d.ID, &d.Enrolled, &revoked, &sealed, &d.Version); err != nil {
			return d, err
		}
		var b distributorBody
		if err := openJSON(desk, t.db.directoryAAD(d.ID), sealed, &b); err != nil {
			return d, err
		}
		d.Name, d.Address, d.Group, d.ClearOK, d.Note = b.Name, b.Address, b.Group, b.ClearOK, b.Note
		d.Enrolled, d.Revoked = d.Enrolled.UTC(), timeOf(revoked)
		return d, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the directory: %w", err)
	}
	byID := make(map[disclosure.DistributorID]*disclosure.Distributor, len(list))
	slices.SortFunc(list, func(a, b disclosure.Distributor) int {
		return cmp.Or(a.Revoked.Compare(b.Revoked)*boolSign(a.Revoked.IsZero() != b.Revoked.IsZero()),
			cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), cmp.Compare(a.ID, b.ID))
	})
	for i := range list {
		byID[list[i].ID] = &list[i]
	}
	rows, err = t.Query(ctx, `SELECT id, distributor, added, sealed FROM distributor_key
		WHERE removed IS NULL AND ($1 = '' OR distributor = $1) ORDER BY added, id`, string(id))
	if err != nil {
		return nil, fmt.Errorf("read the directory's keys: %w", err)
	}
	var row string
	var whose disclosure.DistributorID
	var added time.Time
	var sealed []byte
	_, err = pgx.ForEachRow(rows, []any{&row, &whose, &added, &sealed}, func() error {
		k, err := t.db.openKey(desk, whose, row, sealed)
		if d := byID[whose]; d != nil && err == nil {
			d.Keys = append(d.Keys, disclosure.RecipientKey{Fingerprint: k.Fingerprint, Certificate: bytes.Clone(k.Certificate), Added: added.UTC(), AddedBy: k.AddedBy})
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the directory's keys: %w", err)
	}
	return list, nil
}

func boolSign(b bool) int {
	if b {
		return 1
	}
	return 0
}

// changeDirectory changes one entry of the list. What alters who is told, at
// which address or under which keys takes effect before the next message
// leaves: the go-ahead of every release that has something for this one under
// way is closed first, the mails in flight are waited for, their pending
// deliveries are canceled, and approvals of notices not yet sent are dropped.
func (db *DB) changeDirectory(ctx context.Context, by disclosure.Caller, id disclosure.DistributorID, kind string, f func(*tx, vault.Key) error) error {
	if !by.Can(disclosure.Admin) {
		return disclosure.ErrForbidden
	}
	desk, err := db.deskKey()
	if err != nil {
		return err
	}
	var closed []disclosure.ReleaseID
	for range 5 {
		var open []disclosure.ReleaseID
		err = db.transact(ctx, by, func(t *tx) (err error) {
			open, err = t.directoryStep(ctx, desk, id, closed, f)
			t.note("directory."+kind, string(id), nil)
			return err
		})
		if !errors.Is(err, errMustClose) {
			break
		}
		for _, r := range open {
			if err := db.closeGoAhead(ctx, r); err != nil {
				return err
			}
			if !slices.Contains(closed, r) {
				closed = append(closed, r)
			}
		}
	}
	if err != nil && len(closed) > 0 && wasRefused(ctx, err) {
		err = errors.Join(err, db.reopen(ctx, by, closed))
	}
	return err
}

// reopen sets go-aheads that were closed for nothing as they have to stand.
func (db *DB) reopen(ctx context.Context, by disclosure.Caller, releases []disclosure.ReleaseID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	slices.Sort(releases)
	return db.transact(ctx, by, func(t *tx) error {
		for _, r := range releases {
			if err := t.lockReleaseRow(ctx, r); err != nil {
				return err
			}
			if err := t.settleGoAhead(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// directoryStep returns errMustClose with the releases whose go-ahead has to
// be closed first.
func (t *tx) directoryStep(ctx context.Context, desk vault.Key, id disclosure.DistributorID, closed []disclosure.ReleaseID, f func(*tx, vault.Key) error) ([]disclosure.ReleaseID, error) {
	releases, err := t.lockTelling(ctx)
	if err != nil {
		return nil, err
	}
	before, err := t.listed(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := f(t, desk); err != nil {
		return nil, err
	}
	after, err := t.listed(ctx, id)
	if err != nil || before == after {
		return nil, err
	}
	rows, err := t.Query(ctx, `SELECT g.release FROM go_ahead g WHERE g.open AND EXISTS (SELECT FROM delivery d JOIN notice n ON n.id = d.notice
		WHERE n.release = g.release AND d.distributor = $1 AND d.state IN ('queued', 'sending', 'deferred')) ORDER BY g.release`, id)
	if err != nil {
		return nil, fmt.Errorf("look for what is under way: %w", err)
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[disclosure.ReleaseID])
	if err != nil {
		return nil, fmt.Errorf("look for what is under way: %w", err)
	}
	if len(open) > 0 {
		return open, errMustClose
	}
	if _, err := t.Exec(ctx, `SELECT 1 FROM go_ahead WHERE release = ANY($1) ORDER BY release FOR UPDATE`, closed); err != nil {
		return nil, fmt.Errorf("wait for the mails in flight: %w", err)
	}
	if err := t.dropApprovals(ctx); err != nil {
		return nil, err
	}
	rows, err = t.Query(ctx, `UPDATE delivery SET state = 'canceled', next_at = NULL, updated = $2
		WHERE distributor = $1 AND state IN ('queued', 'deferred') RETURNING id`, id, t.now)
	if err != nil {
		return nil, fmt.Errorf("cancel what is under way: %w", err)
	}
	canceled, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("cancel what is under way: %w", err)
	}
	for _, d := range canceled {
		t.note("delivery.canceled", d, nil)
	}
	for _, r := range releases {
		if err := t.settleGoAhead(ctx, r); err != nil {
			return nil, err
		}
	}
	return nil, t.notify(ctx, ChannelWork)
}

// lockTelling locks the releases that tell distributors and are not through
// with it, in order.
func (t *tx) lockTelling(ctx context.Context) ([]disclosure.ReleaseID, error) {
	rows, err := t.Query(ctx, `SELECT r.id FROM release r WHERE EXISTS (SELECT FROM notice n WHERE n.release = r.id AND n.audience = 'distributors'
		AND (n.state IN ('approved', 'sending') OR EXISTS (SELECT FROM delivery d WHERE d.notice = n.id AND d.state IN ('queued', 'sending', 'deferred'))))
		ORDER BY r.id`+forUpdate.sql())
	if err != nil {
		return nil, fmt.Errorf("lock the releases that tell distributors: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[disclosure.ReleaseID])
	if err != nil {
		return nil, fmt.Errorf("lock the releases that tell distributors: %w", err)
	}
	return ids, nil
}

// listed is an entry as approvals bind it; empty when it is not on the list.
func (t *tx) listed(ctx context.Context, id disclosure.DistributorID) (string, error) {
	list, err := t.distributorRecipients(ctx, id)
	if err != nil || len(list) == 0 {
		return "", err
	}
	return listEntry(list[0]), nil
}

// dropApprovals takes back those of notices to distributors that are not being
// sent yet. Their releases are locked.
func (t *tx) dropApprovals(ctx context.Context) error {
	rows, err := t.Query(ctx, `SELECT n.id, n.release, n.body, r.wrapped_key, r.key_version
		FROM notice n JOIN release r ON r.id = n.release WHERE n.audience = 'distributors' AND n.state = 'approved' ORDER BY n.id`)
	if err != nil {
		return fmt.Errorf("look for approvals: %w", err)
	}
	var id, release string
	var sealed, wrapped []byte
	var version int
	batch := &pgx.Batch{}
	_, err = pgx.ForEachRow(rows, []any{&id, &release, &sealed, &wrapped, &version}, func() error {
		key, err := t.db.openOwnerKey("release", release, wrapped, version)
		if err != nil {
			return err
		}
		place := t.db.aad("notice", "body", id, release, version)
		var b noticeBody
		if err := openJSON(key, place, sealed, &b); err != nil {
			return err
		}
		b.Approvals = nil
		body, err := sealJSON(key, place, b)
		if err != nil {
			return err
		}
		batch.Queue(`UPDATE notice SET state = 'frozen', body = $2 WHERE id = $1`, id, body)
		t.note("notice.approval-dropped", id, nil)
		return nil
	})
	if err != nil {
		return fmt.Errorf("take approvals back: %w", err)
	}
	if batch.Len() == 0 {
		return nil
	}
	if err := t.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("take approvals back: %w", err)
	}
	return nil
}
