package postgres

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// Publish makes a release public in one transaction: change takes the step on
// the release, its advisories become public, render is given the new edition
// and returns every document there is from now on, announcements are queued,
// and the gates are woken. Nothing is public before the commit, and what
// render leaves out is gone with it. Both functions may run more than once.
// disclosure.ErrHeld while the instance is held.
func (db *DB) Publish(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, change func(*disclosure.Release) error, render func(disclosure.Edition) ([]disclosure.Document, error)) error {
	var number int64
	first := func(t *tx) (err error) {
		if err := t.mayLeave(ctx); err != nil {
			return err
		}
		number, err = t.lockEdition(ctx)
		return err
	}
	return db.withRelease(ctx, by, id, first, func(t *tx, lr *loadedRelease) error {
		if err := change(lr.Release); err != nil {
			return err
		}
		if lr.State != disclosure.Published || lr.was == disclosure.Published {
			return errors.New("publishing did not make the release disclosed")
		}
		lr.publishing = true
		advisories := lr.Advisories(t.now)
		if err := t.storeRelease(ctx, lr); err != nil {
			return err
		}
		if err := t.insertAdvisories(ctx, lr, advisories); err != nil {
			return err
		}
		t.note("release.published", string(id), map[string]any{"edition": number + 1})
		patch := func(sha256 string) ([]byte, error) { return t.patchWith(ctx, lr, sha256) }
		return t.publishEdition(ctx, number+1, advisories, patch, render)
	})
}

// PublishSite renders the documents again without a release: after a policy
// was applied, a key changed, a renewal. It needs the vault unlocked only when
// a pre-announcement is public.
func (db *DB) PublishSite(ctx context.Context, by disclosure.Caller, render func(disclosure.Edition) ([]disclosure.Document, error)) error {
	if !by.Can(disclosure.Admin) && !by.Can(disclosure.Releaser) {
		return disclosure.ErrForbidden
	}
	return db.transact(ctx, by, func(t *tx) error {
		if err := t.mayLeave(ctx); err != nil {
			return err
		}
		number, err := t.lockEdition(ctx)
		if err != nil {
			return err
		}
		t.note("site.published", fmt.Sprint(number+1), nil)
		return t.publishEdition(ctx, number+1, nil, nil, render)
	})
}

func (t *tx) lockEdition(ctx context.Context) (number int64, err error) {
	if err := t.QueryRow(ctx, `SELECT number FROM edition FOR UPDATE`).Scan(&number); err != nil {
		return 0, fmt.Errorf("lock the edition: %w", notFound(err))
	}
	return number, nil
}

func (t *tx) insertAdvisories(ctx context.Context, lr *loadedRelease, list []disclosure.Advisory) error {
	byName := map[string]disclosure.CaseID{}
	for _, c := range lr.Cases {
		byName[c.PublicName] = c.ID
	}
	batch := &pgx.Batch{}
	for _, a := range list {
		body, err := json.Marshal(a)
		if err != nil {
			return fmt.Errorf("write advisory %s: %w", a.Name, err)
		}
		batch.Queue(`INSERT INTO advisory (name, case_id, release, version, published, updated, withdrawn, body)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, a.Name, byName[a.Name], lr.ID, a.Version, a.Published, a.Updated, orNull(a.Withdrawn), body)
	}
	if batch.Len() == 0 {
		return nil
	}
	if err := t.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("store the advisories: %w", err)
	}
	return nil
}

// Advisories are the public ones, newest first.
func (db *DB) Advisories(ctx context.Context) (list []disclosure.Advisory, err error) {
	err = db.read(ctx, disclosure.System("reader"), func(t *tx) error {
		list, err = t.advisories(ctx)
		return err
	})
	return list, err
}

func (t *tx) advisories(ctx context.Context) ([]disclosure.Advisory, error) {
	rows, err := t.Query(ctx, `SELECT body FROM advisory ORDER BY published DESC, name`)
	if err != nil {
		return nil, fmt.Errorf("read the advisories: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[disclosure.Advisory])
	if err != nil {
		return nil, fmt.Errorf("read the advisories: %w", err)
	}
	return list, nil
}

// publishEdition renders and stores the whole set. The edition is locked.
func (t *tx) publishEdition(ctx context.Context, number int64, publishing []disclosure.Advisory, patch func(string) ([]byte, error), render func(disclosure.Edition) ([]disclosure.Document, error)) error {
	e := disclosure.Edition{Number: number, At: t.now, URL: t.db.site, Instance: string(t.db.instance), Publishing: publishing, Patch: patch}
	var err error
	if e.Policy, err = t.db.currentPolicy(ctx, t); err != nil {
		return err
	}
	if err := t.inForce(ctx, &e); err != nil {
		return err
	}
	if e.Advisories, err = t.advisories(ctx); err != nil {
		return err
	}
	if e.Upcoming, err = t.upcoming(ctx); err != nil {
		return err
	}
	err = t.QueryRow(ctx, `SELECT public FROM public_key WHERE kind = 'team' AND retired IS NULL`).Scan(&e.Certificate)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("read the team's certificate: %w", err)
	}
	if e.Signed, err = t.signedDocuments(ctx); err != nil {
		return err
	}
	docs, err := render(e)
	if err != nil {
		return fmt.Errorf("render edition %d: %w", number, err)
	}
	if err := t.replaceDocuments(ctx, number, docs); err != nil {
		return err
	}
	if _, err := t.Exec(ctx, `UPDATE edition SET number = $1, changed = $2, roster = $3`, number, t.now, strings.Join(e.Roster, "\n")); err != nil {
		return fmt.Errorf("raise the edition: %w", err)
	}
	if err := t.notify(ctx, ChannelWork); err != nil {
		return err
	}
	return t.notify(ctx, ChannelEdition)
}

// signedDocuments are those that were signed, as they stand.
func (t *tx) signedDocuments(ctx context.Context) (map[string]disclosure.Document, error) {
	rows, err := t.Query(ctx, `SELECT path, type, bytes, renew FROM document WHERE signed AND length(bytes) > 0`)
	if err != nil {
		return nil, fmt.Errorf("read the signed documents: %w", err)
	}
	signed := map[string]disclosure.Document{}
	d := disclosure.Document{Signed: true}
	var renew *time.Time
	_, err = pgx.ForEachRow(rows, []any{&d.Path, &d.Type, &d.Bytes, &renew}, func() error {
		d.Renew = timeOf(renew)
		signed[d.Path] = d
		d.Bytes = nil
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the signed documents: %w", err)
	}
	return signed, nil
}

// inForce adds what stands beside the policy's text: a pause, and the roster.
func (t *tx) inForce(ctx context.Context, e *disclosure.Edition) (err error) {
	if e.Roster, err = t.db.roster(ctx, t, e.Policy); err != nil {
		return err
	}
	notice, err := pausedNotice(ctx, t)
	if err != nil || notice == "" {
		return err
	}
	p := *e.Policy
	p.Intake.Paused = notice
	e.Policy = &p
	return nil
}

// rosterChanged reports whether the site names other members than there are.
func (db *DB) rosterChanged(ctx context.Context) (bool, error) {
	p, err := db.CurrentPolicy(ctx)
	if errors.Is(err, disclosure.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	names, err := db.roster(ctx, db.pool, p)
	if err != nil {
		return false, err
	}
	var shown string
	if err := db.pool.QueryRow(ctx, `SELECT roster FROM edition`).Scan(&shown); err != nil {
		return false, fmt.Errorf("read the roster that is shown: %w", unavailable(err))
	}
	return shown != strings.Join(names, "\n"), nil
}

// reachedSomebody: a mail of notice n was taken by the mail server.
const reachedSomebody = `EXISTS (SELECT FROM delivery d WHERE d.notice = n.id AND d.state = 'sent')`

// upcoming are the newest sent pre-announcements of releases still to come,
// and those that called one off, for a month. One of which no mail left is not
// public.
func (t *tx) upcoming(ctx context.Context) ([]disclosure.UpcomingText, error) {
	rows, err := t.Query(ctx, `SELECT DISTINCT ON (n.release) n.release, n.id, n.sent_at, r.state, r.at, n.body, r.wrapped_key, r.key_version
		FROM notice n JOIN release r ON r.id = n.release
		WHERE n.audience = 'pre-announcement' AND n.state = 'sent' AND `+reachedSomebody+` AND (r.state IN ('scheduled', 'notified', 'releasing')
			OR r.state = 'called off' AND n.sent_at > $1) ORDER BY n.release, n.sent_at DESC`, t.now.Add(-30*24*time.Hour))
	if err != nil {
		return nil, fmt.Errorf("read the pre-announcements: %w", err)
	}
	defer rows.Close()
	var list []disclosure.UpcomingText
	for rows.Next() {
		var u disclosure.UpcomingText
		var id string
		var state disclosure.ReleaseState
		var sealed, wrapped []byte
		var version int
		if err := rows.Scan(&u.Release, &id, &u.SentAt, &state, &u.At, &sealed, &wrapped, &version); err != nil {
			return nil, fmt.Errorf("read the pre-announcements: %w", err)
		}
		key, err := t.db.openOwnerKey("release", string(u.Release), wrapped, version)
		if err != nil {
			return nil, err
		}
		var b noticeBody
		if err := openJSON(key, t.db.aad("notice", "body", id, string(u.Release), version), sealed, &b); err != nil {
			return nil, err
		}
		if state == disclosure.CalledOff && b.Change != disclosure.ChangeCalledOff {
			continue
		}
		u.SentAt, u.At, u.Subject, u.Text = u.SentAt.UTC(), u.At.UTC(), b.Subject, b.Text
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b disclosure.UpcomingText) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Release, b.Release))
	})
	return list, rows.Err()
}

// replaceDocuments makes docs the set: what is the same stays with its date,
// what is not among them goes.
func (t *tx) replaceDocuments(ctx context.Context, edition int64, docs []disclosure.Document) error {
	rows, err := t.Query(ctx, `SELECT path, digest FROM document`)
	if err != nil {
		return fmt.Errorf("read the documents: %w", err)
	}
	var path string
	var digest []byte
	had := map[string]string{}
	if _, err := pgx.ForEachRow(rows, []any{&path, &digest}, func() error { had[path] = string(digest); return nil }); err != nil {
		return fmt.Errorf("read the documents: %w", err)
	}
	batch := &pgx.Batch{}
	paths, seen := make([]string, 0, len(docs)), map[string]bool{}
	for _, d := range docs {
		if seen[d.Path] {
			return fmt.Errorf("document %s was rendered twice", d.Path)
		}
		seen[d.Path] = true
		_, stored := had[d.Path]
		if d.Keep {
			if stored {
				paths = append(paths, d.Path)
				batch.Queue(`UPDATE document SET rendered_by = $2 WHERE path = $1`, d.Path, d.Rendered)
			}
			continue
		}
		if d.Signed && len(d.Bytes) == 0 { // it waits for a key: the stored one stays
			if stored {
				paths = append(paths, d.Path)
			}
			if stored && !d.Renew.IsZero() { // or it was looked at, and says what it should
				batch.Queue(`UPDATE document SET rendered_by = $2 WHERE path = $1`, d.Path, d.Rendered)
			}
			continue
		}
		paths = append(paths, d.Path)
		sum := sha256.Sum256(d.Bytes)
		if had[d.Path] == string(sum[:]) {
			batch.Queue(`UPDATE document SET type = $2, signed = $3, rendered_by = $4, renew = $5, edition = $6 WHERE path = $1`,
				d.Path, d.Type, d.Signed, d.Rendered, orNull(d.Renew), edition)
			continue
		}
		etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
		batch.Queue(`INSERT INTO document (path, type, bytes, gzip, digest, etag, modified, signed, rendered_by, renew, edition)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (path) DO UPDATE SET type = excluded.type, bytes = excluded.bytes, gzip = excluded.gzip, digest = excluded.digest,
				etag = excluded.etag, modified = excluded.modified, signed = excluded.signed, rendered_by = excluded.rendered_by,
				renew = excluded.renew, edition = excluded.edition`,
			d.Path, d.Type, notNil(d.Bytes), compress(d.Bytes), sum[:], etag, t.now, d.Signed, d.Rendered, orNull(d.Renew), edition)
	}
	batch.Queue(`DELETE FROM document WHERE path <> ALL($1)`, paths)
	if err := t.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("store the documents: %w", err)
	}
	return nil
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// compress is nil when it saves less than a tenth.
func compress(b []byte) []byte {
	if len(b) < 256 {
		return nil
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil
	}
	if _, err := w.Write(b); err != nil || w.Close() != nil || out.Len() > len(b)*9/10 {
		return nil
	}
	return out.Bytes()
}

// DocumentsDue reports whether the documents have to be rendered again: there
// is none yet, one has to be renewed at the program's time or was rendered by
// another version than given, or a pre-announcement was sent since.
func (db *DB) DocumentsDue(ctx context.Context, version string) (bool, error) {
	var due bool
	err := db.pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM document)
		OR EXISTS (SELECT FROM document WHERE renew <= $1 OR rendered_by <> $2)
		OR EXISTS (SELECT FROM notice n, edition e WHERE n.audience = 'pre-announcement' AND n.state = 'sent' AND EXISTS
			(SELECT FROM delivery d WHERE d.notice = n.id AND d.state = 'sent' AND greatest(n.sent_at, d.updated) >= e.changed))`,
		db.Now(), version).Scan(&due)
	if err != nil {
		return false, fmt.Errorf("look for documents to render: %w", unavailable(err))
	}
	if !due {
		return db.rosterChanged(ctx)
	}
	return due, nil
}

// Documents lists what is public, by path, with its bytes.
func (db *DB) Documents(ctx context.Context) ([]disclosure.Document, error) {
	rows, err := db.pool.Query(ctx, `SELECT path, type, bytes, signed, rendered_by, renew FROM document ORDER BY path`)
	if err != nil {
		return nil, fmt.Errorf("list the documents: %w", unavailable(err))
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d disclosure.Document, err error) {
		var renew *time.Time
		err = row.Scan(&d.Path, &d.Type, &d.Bytes, &d.Signed, &d.Rendered, &renew)
		d.Renew = timeOf(renew)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the documents: %w", unavailable(err))
	}
	return list, nil
}
