package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// ReleaseCard is a release as lists show it.
type ReleaseCard struct {
	ID         disclosure.ReleaseID
	State      disclosure.ReleaseState
	At         time.Time
	Zone       string
	Title      string
	Urgent     bool
	Cases      int
	Generation int
	Due        time.Time // of its nearest promise; zero: none
	Created    time.Time
}

// releaseCard is release.card, sealed.
type releaseCard struct {
	Title  string              `json:"title"`
	Urgent bool                `json:"urgent,omitempty"`
	Cases  []disclosure.CaseID `json:"cases,omitempty"`
}

// releaseBody is release.body, sealed.
type releaseBody struct {
	Title       string                      `json:"title"`
	Reason      string                      `json:"reason,omitempty"`
	Urgent      bool                        `json:"urgent,omitempty"`
	PlannedAt   time.Time                   `json:"planned_at,omitzero"`
	ReleasingAt time.Time                   `json:"releasing_at,omitzero"`
	NotifiedAt  time.Time                   `json:"notified_at,omitzero"`
	Versions    []disclosure.Version        `json:"versions,omitempty"`
	Patches     []disclosure.Patch          `json:"patches,omitempty"`
	Steps       []disclosure.Step           `json:"steps,omitempty"`
	Alerted     map[string]disclosure.Stage `json:"alerted,omitempty"`
	Confirms    []disclosure.Confirm        `json:"confirms,omitempty"`
	Cases       []disclosure.CaseID         `json:"cases,omitempty"` // a called off release keeps the list its cases forgot
}

// loadedRelease is a release in a transaction, with what it was like when it was loaded.
type loadedRelease struct {
	*disclosure.Release
	key        vault.Key
	keyVersion int
	was        disclosure.ReleaseState
	generation int
	cases      map[disclosure.CaseID]releaseCase
	notices    map[disclosure.NoticeID]noticeBefore
	publishing bool // by DB.Publish
}

type releaseCase struct {
	c     *disclosure.Case
	print string
}

type noticeBefore struct {
	state disclosure.NoticeState
	print string
}

// lock says how the rows of a release are read.
type lock bool

const (
	forUpdate lock = true
	forShow   lock = false
)

// NO KEY: rows that merely refer to the release need not wait.
func (l lock) sql() string {
	if l {
		return " FOR NO KEY UPDATE"
	}
	return ""
}

// loadRelease loads a release with its cases and notices, and locks it and its
// cases, in this order, when asked to. Whether the caller may see it is not
// checked: use VisibleTo.
func (t *tx) loadRelease(ctx context.Context, id disclosure.ReleaseID, l lock) (*loadedRelease, error) {
	r := &disclosure.Release{ID: id}
	var at, disclosed, calledOff *time.Time
	var wrapped, sealed []byte
	var keyVersion int
	err := t.QueryRow(ctx, `SELECT state, at, zone, generation, policy_version, wrapped_key, key_version, body,
		disclosed_at, called_off_at, version FROM release WHERE id = $1`+l.sql(), id).
		Scan(&r.State, &at, &r.Zone, &r.Generation, &r.PolicyVersion, &wrapped, &keyVersion, &sealed, &disclosed, &calledOff, &r.Version)
	if err != nil {
		return nil, fmt.Errorf("load release %s: %w", id, notFound(err))
	}
	key, err := t.db.openOwnerKey("release", string(id), wrapped, keyVersion)
	if err != nil {
		return nil, err
	}
	t.keys[string(id)] = key
	var b releaseBody
	if err := openJSON(key, t.db.aad("release", "body", string(id), string(id), keyVersion), sealed, &b); err != nil {
		return nil, err
	}
	r.At, r.DisclosedAt, r.CalledOffAt = timeOf(at), timeOf(disclosed), timeOf(calledOff)
	r.Title, r.Reason, r.Urgent = b.Title, b.Reason, b.Urgent
	r.PlannedAt, r.ReleasingAt, r.NotifiedAt = b.PlannedAt, b.ReleasingAt, b.NotifiedAt
	r.Versions, r.Patches, r.Steps, r.Alerted, r.Confirms = b.Versions, b.Patches, b.Steps, b.Alerted, b.Confirms
	if r.Alerted == nil {
		r.Alerted = map[string]disclosure.Stage{}
	}
	if r.Policy, err = t.db.policy(ctx, t, r.PolicyVersion); err != nil {
		return nil, err
	}
	if err := t.loadReleaseCases(ctx, r, b.Cases, l); err != nil {
		return nil, err
	}
	if r.Alone, err = t.alone(ctx); err != nil {
		return nil, err
	}
	lr := &loadedRelease{Release: r, key: key, keyVersion: keyVersion, was: r.State, generation: r.Generation,
		cases: map[disclosure.CaseID]releaseCase{}, notices: map[disclosure.NoticeID]noticeBefore{}}
	if err := t.loadNotices(ctx, lr, l); err != nil {
		return nil, err
	}
	for _, c := range r.Cases {
		lr.cases[c.ID] = releaseCase{c, casePrint(c)}
	}
	for _, n := range r.Notices {
		lr.notices[n.ID] = noticeBefore{n.State, noticePrint(n)}
	}
	return lr, nil
}

// alone reports whether nobody but the caller could agree to publishing: no
// other member who has joined is triager or releaser.
func (t *tx) alone(ctx context.Context) (alone bool, err error) {
	err = t.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM member WHERE id <> $1 AND disabled IS NULL AND password IS NOT NULL
		AND roles && '{triager,releaser}')`, string(t.by.Member)).Scan(&alone)
	if err != nil {
		return false, fmt.Errorf("look for another member: %w", err)
	}
	return alone, nil
}

func (t *tx) loadReleaseCases(ctx context.Context, r *disclosure.Release, kept []disclosure.CaseID, l lock) (err error) {
	if r.State != disclosure.CalledOff {
		r.Cases, err = t.loadCasesOf(ctx, r.ID, l == forUpdate)
		return err
	}
	r.Cases, err = t.loadCases(ctx, kept, false)
	return err
}

func caseIDs(cases []*disclosure.Case) []disclosure.CaseID {
	ids := make([]disclosure.CaseID, len(cases))
	for i, c := range cases {
		ids[i] = c.ID
	}
	return ids
}

// voids reports whether what was done takes back a permission to send.
func (lr *loadedRelease) voids() bool {
	if lr.Generation != lr.generation {
		return true
	}
	for _, n := range lr.Notices {
		if lr.notices[n.ID].state == disclosure.NoticeSending && n.State != disclosure.NoticeSending && n.State != disclosure.NoticeSent {
			return true
		}
	}
	return false
}

// saveRelease writes the release, its cases, notices, events and alerts, sets
// the go-ahead as it has to stand now, queues the deliveries of notices that
// have begun to be sent, and cancels those of notices that are void.
func (t *tx) saveRelease(ctx context.Context, lr *loadedRelease) error {
	for _, n := range lr.Notices {
		if n.State == disclosure.NoticeSending && n.Generation != lr.Generation {
			n.State = disclosure.NoticeCanceled // the release changed under it
		}
	}
	sealedCard, sealedBody, err := t.sealRelease(lr)
	if err != nil {
		return err
	}
	_, err = t.Exec(ctx, `UPDATE release SET state = $2, at = $3, zone = $4, generation = $5, card = $6, body = $7,
		disclosed_at = $8, called_off_at = $9, wake_at = $10, due_at = $11, version = version + 1 WHERE id = $1`,
		lr.ID, lr.State, orNull(lr.At), lr.Zone, lr.Generation, sealedCard, sealedBody,
		orNull(lr.DisclosedAt), orNull(lr.CalledOffAt), orNull(lr.Wake()), orNull(lr.Due()))
	if err != nil {
		return fmt.Errorf("save release %s: %w", lr.ID, err)
	}
	lr.Version++
	if err := t.saveReleaseCases(ctx, lr); err != nil {
		return err
	}
	if err := t.saveNotices(ctx, lr); err != nil {
		return err
	}
	events := lr.Events()
	for _, e := range events {
		t.note("release."+string(e.Kind), string(lr.ID), nil)
	}
	if err := t.saveEvents(ctx, owner{Release: lr.ID}, lr.key, events); err != nil {
		return err
	}
	if err := t.alertMembers(ctx, lr.Alerts(), ""); err != nil {
		return err
	}
	return t.settleGoAhead(ctx, lr.ID)
}

func (t *tx) sealRelease(lr *loadedRelease) (card, body []byte, err error) {
	id := string(lr.ID)
	ids := caseIDs(lr.Cases)
	card, err = sealJSON(lr.key, t.db.aad("release", "card", id, id, lr.keyVersion),
		releaseCard{Title: lr.Title, Urgent: lr.Urgent, Cases: ids})
	if err != nil {
		return nil, nil, err
	}
	body, err = sealJSON(lr.key, t.db.aad("release", "body", id, id, lr.keyVersion), releaseBody{
		Title: lr.Title, Reason: lr.Reason, Urgent: lr.Urgent,
		PlannedAt: lr.PlannedAt, ReleasingAt: lr.ReleasingAt, NotifiedAt: lr.NotifiedAt,
		Versions: lr.Versions, Patches: lr.Patches, Steps: lr.Steps, Alerted: lr.Alerted, Confirms: lr.Confirms, Cases: ids,
	})
	return card, body, err
}

// saveReleaseCases saves those that changed, in order of id: the ones in the
// release now, and the ones that were.
func (t *tx) saveReleaseCases(ctx context.Context, lr *loadedRelease) error {
	all := map[disclosure.CaseID]*disclosure.Case{}
	for id, b := range lr.cases {
		all[id] = b.c
	}
	for _, c := range lr.Cases {
		all[c.ID] = c
	}
	changed := slices.DeleteFunc(valuesByID(all), func(c *disclosure.Case) bool {
		before, ok := lr.cases[c.ID]
		return ok && before.print == casePrint(c)
	})
	for _, c := range changed {
		if err := t.saveCase(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

func valuesByID(m map[disclosure.CaseID]*disclosure.Case) []*disclosure.Case {
	list := make([]*disclosure.Case, 0, len(m))
	for _, c := range m {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *disclosure.Case) int { return cmp.Compare(a.ID, b.ID) })
	return list
}

// errMustClose: the go-ahead has to be closed, in a transaction of its own,
// before what was asked for can be done.
var errMustClose = errors.New("the go-ahead must be closed first")

// errNothing ends a transaction in which there was nothing to do.
var errNothing = errors.New("nothing to do")

// withRelease locks a release and lets f act on it. Whatever takes back a
// permission to send first closes the go-ahead in a short transaction, which
// waits for nobody, and then waits for the mails in flight, of which no new
// one can begin (DESIGN: with one step a stream of senders starves it).
func (db *DB) withRelease(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, first func(*tx) error, f func(*tx, *loadedRelease) error) error {
	closed := false
	var err error
	for range 5 {
		err = db.transact(ctx, by, func(t *tx) error {
			if err := first(t); err != nil {
				return err
			}
			if closed {
				if err := t.waitForFlight(ctx, id); err != nil {
					return err
				}
			}
			lr, err := t.loadRelease(ctx, id, forUpdate)
			if err != nil {
				return err
			}
			if !lr.VisibleTo(by) {
				return fmt.Errorf("release %s: %w", id, disclosure.ErrNotFound)
			}
			return f(t, lr)
		})
		if !errors.Is(err, errMustClose) {
			break
		}
		if err := db.closeGoAhead(ctx, id); err != nil {
			return err
		}
		closed = true
	}
	if err != nil && closed && wasRefused(ctx, err) { // let the senders go on
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		reopen := db.transact(after, by, func(t *tx) error {
			if err := t.lockReleaseRow(after, id); err != nil {
				return err
			}
			return t.settleGoAhead(after, id)
		})
		err = errors.Join(err, reopen)
	}
	if errors.Is(err, errNothing) {
		return nil
	}
	return err
}

func nothingFirst(*tx) error { return nil }

func (t *tx) lockReleaseRow(ctx context.Context, id disclosure.ReleaseID) error {
	var one int
	err := t.QueryRow(ctx, `SELECT 1 FROM release WHERE id = $1`+forUpdate.sql(), id).Scan(&one)
	if err != nil {
		return fmt.Errorf("lock release %s: %w", id, notFound(err))
	}
	return nil
}

func (db *DB) closeGoAhead(ctx context.Context, id disclosure.ReleaseID) error {
	_, err := db.pool.Exec(ctx, `UPDATE go_ahead SET open = false WHERE release = $1`, id)
	if err != nil {
		return fmt.Errorf("close the go-ahead of release %s: %w", id, unavailable(err))
	}
	return nil
}

// waitForFlight locks the release's row and then its go-ahead, which waits for
// the mails in flight. Somebody else may have opened it again meanwhile.
func (t *tx) waitForFlight(ctx context.Context, id disclosure.ReleaseID) error {
	if err := t.lockReleaseRow(ctx, id); err != nil {
		return err
	}
	if err := t.mustBeClosed(ctx, id); err != nil {
		return err
	}
	if _, err := t.Exec(ctx, `SELECT 1 FROM go_ahead WHERE release = $1 FOR UPDATE`, id); err != nil {
		return fmt.Errorf("wait for the mails in flight of release %s: %w", id, err)
	}
	return nil
}

func (t *tx) mustBeClosed(ctx context.Context, id disclosure.ReleaseID) error {
	var open bool
	err := t.QueryRow(ctx, `SELECT open FROM go_ahead WHERE release = $1`, id).Scan(&open)
	if err != nil {
		return fmt.Errorf("read the go-ahead of release %s: %w", id, notFound(err))
	}
	if open {
		return errMustClose
	}
	return nil
}

// settleGoAhead sets the go-ahead as the notices say: open exactly while one is
// being sent, or a delivery of one was queued again. The release is locked.
func (t *tx) settleGoAhead(ctx context.Context, id disclosure.ReleaseID) error {
	_, err := t.Exec(ctx, `UPDATE go_ahead g SET open = s.open, generation = r.generation
		FROM release r, LATERAL (SELECT EXISTS (SELECT FROM notice n WHERE n.release = r.id AND n.generation = r.generation
			AND (n.state = 'sending' OR n.state = 'sent' AND EXISTS
				(SELECT FROM delivery d WHERE d.notice = n.id AND d.state IN ('queued', 'sending', 'deferred')))) AS open) s
		WHERE r.id = $1 AND g.release = r.id AND (g.open, g.generation) IS DISTINCT FROM (s.open, r.generation)`, id)
	if err != nil {
		return fmt.Errorf("set the go-ahead of release %s: %w", id, err)
	}
	return nil
}

// UpdateRelease locks the release with its cases, lets change act on it, and
// saves everything it gathered. change may run more than once and must touch
// nothing outside the value it is given. What voids sending (a new generation,
// a sending notice canceled) closes the go-ahead first and returns once no
// mail is in flight any more.
func (db *DB) UpdateRelease(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, change func(*disclosure.Release) error) error {
	return db.updateRelease(ctx, by, id, func(_ *tx, lr *loadedRelease) error { return change(lr.Release) })
}

func (db *DB) updateRelease(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, change func(*tx, *loadedRelease) error) error {
	return db.withRelease(ctx, by, id, nothingFirst, func(t *tx, lr *loadedRelease) error {
		if err := change(t, lr); err != nil {
			return err
		}
		return t.storeRelease(ctx, lr)
	})
}

// storeRelease saves what was changed, unless the go-ahead has to be closed
// before.
func (t *tx) storeRelease(ctx context.Context, lr *loadedRelease) error {
	if lr.State == disclosure.Published && lr.was != disclosure.Published && !lr.publishing {
		return errors.New("a release becomes disclosed by DB.Publish alone")
	}
	if lr.voids() {
		if err := t.mustBeClosed(ctx, lr.ID); err != nil {
			return err
		}
	}
	if err := t.saveRelease(ctx, lr); err != nil {
		return err
	}
	return t.notify(ctx, ChannelWork)
}

// GatherCases adds accepted cases to a release, in one transaction.
func (db *DB) GatherCases(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID, cases []disclosure.CaseID) error {
	return db.updateRelease(ctx, by, id, func(t *tx, lr *loadedRelease) error { return t.gather(ctx, lr.Release, cases) })
}

func (t *tx) gather(ctx context.Context, r *disclosure.Release, ids []disclosure.CaseID) error {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	list, err := t.loadCases(ctx, ids, true)
	if err != nil {
		return err
	}
	if len(list) != len(ids) {
		return fmt.Errorf("gather cases: %w", disclosure.ErrNotFound)
	}
	for _, c := range list {
		if err := r.Gather(c, t.by, t.now); err != nil {
			return err
		}
	}
	return nil
}

// CreateRelease makes a release in draft under the current policy, with its
// go-ahead closed, and gathers the cases into it.
func (db *DB) CreateRelease(ctx context.Context, by disclosure.Caller, title string, cases []disclosure.CaseID) (disclosure.ReleaseID, error) {
	id := disclosure.ReleaseID(disclosure.NewID())
	policy, err := db.CurrentPolicy(ctx)
	if err != nil {
		return "", err
	}
	err = db.transact(ctx, by, func(t *tx) error {
		r, err := disclosure.NewRelease(id, title, policy, by, t.now)
		if err != nil {
			return err
		}
		key, wrapped, err := db.newOwnerKey("release", string(id))
		if err != nil {
			return err
		}
		lr := &loadedRelease{Release: r, key: key, keyVersion: 1, was: r.State, generation: r.Generation}
		batch := &pgx.Batch{}
		batch.Queue(`INSERT INTO release (id, state, zone, generation, policy_version, wrapped_key, card, body, created, version)
			VALUES ($1, $2, $3, $4, $5, $6, '', '', $7, 0)`, id, r.State, r.Zone, r.Generation, r.PolicyVersion, wrapped, t.now)
		batch.Queue(`INSERT INTO go_ahead (release, open, generation) VALUES ($1, false, $2)`, id, r.Generation)
		if err := t.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("make a release: %w", err)
		}
		if err := t.gather(ctx, r, cases); err != nil {
			return err
		}
		t.note("release.created", string(id), nil)
		return t.saveRelease(ctx, lr)
	})
	if err != nil {
		return "", err
	}
	return id, nil
}

// Release loads a release with its cases, and its notices with approvals and
// tallies. Reading it is logged.
func (db *DB) Release(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID) (*disclosure.Release, error) {
	var lr *loadedRelease
	err := db.transact(ctx, by, func(t *tx) (err error) {
		if lr, err = t.loadRelease(ctx, id, forShow); err != nil {
			return err
		}
		if !lr.VisibleTo(by) {
			return fmt.Errorf("release %s: %w", id, disclosure.ErrNotFound)
		}
		return t.opened(ctx, "release.opened", string(id))
	})
	if err != nil {
		return nil, err
	}
	return lr.Release, nil
}

// Releases lists those the caller may see, nearest promise first, then the
// newest.
func (db *DB) Releases(ctx context.Context, by disclosure.Caller) ([]ReleaseCard, error) {
	var list []ReleaseCard
	err := db.read(ctx, by, func(t *tx) error {
		hidden, err := t.hiddenCases(ctx)
		if err != nil {
			return err
		}
		rows, err := t.Query(ctx, `SELECT id, state, at, zone, generation, wrapped_key, key_version, card, created, due_at
			FROM release ORDER BY due_at NULLS LAST, created DESC, id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c ReleaseCard
			var at, due *time.Time
			var wrapped, sealed []byte
			var keyVersion int
			if err := rows.Scan(&c.ID, &c.State, &at, &c.Zone, &c.Generation, &wrapped, &keyVersion, &sealed, &c.Created, &due); err != nil {
				return err
			}
			key, err := db.openOwnerKey("release", string(c.ID), wrapped, keyVersion)
			if err != nil {
				return err
			}
			var card releaseCard
			if err := openJSON(key, db.aad("release", "card", string(c.ID), string(c.ID), keyVersion), sealed, &card); err != nil {
				return err
			}
			if slices.ContainsFunc(card.Cases, func(id disclosure.CaseID) bool { return hidden[id] }) {
				continue
			}
			c.At, c.Due = timeOf(at), timeOf(due)
			c.Title, c.Urgent, c.Cases = card.Title, card.Urgent, len(card.Cases)
			list = append(list, c)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list the releases: %w", err)
	}
	return list, nil
}

// hiddenCases are the restricted ones that do not exist for the caller.
func (t *tx) hiddenCases(ctx context.Context) (map[disclosure.CaseID]bool, error) {
	if !t.by.IsSystem() && t.by.Roles&(disclosure.Triager|disclosure.Releaser|disclosure.Admin) == 0 {
		return nil, disclosure.ErrForbidden
	}
	hidden := map[disclosure.CaseID]bool{}
	if t.by.IsSystem() {
		return hidden, nil
	}
	rows, err := t.Query(ctx, `SELECT c.id FROM cases c WHERE c.restricted AND c.owner IS DISTINCT FROM $1
		AND NOT EXISTS (SELECT FROM case_access a WHERE a.case_id = c.id AND a.member = $1)`, t.by.Member)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[disclosure.CaseID])
	for _, id := range ids {
		hidden[id] = true
	}
	return hidden, err
}

// ReleaseTimeline is a release's history, oldest first. Reading it is logged.
func (db *DB) ReleaseTimeline(ctx context.Context, by disclosure.Caller, id disclosure.ReleaseID) ([]disclosure.Event, error) {
	var events []disclosure.Event
	err := db.transact(ctx, by, func(t *tx) error {
		lr, err := t.loadRelease(ctx, id, forShow)
		if err != nil {
			return err
		}
		if !lr.VisibleTo(by) {
			return fmt.Errorf("release %s: %w", id, disclosure.ErrNotFound)
		}
		if events, err = t.loadEvents(ctx, owner{Release: id}, lr.key); err != nil {
			return err
		}
		return t.opened(ctx, "release.opened", string(id))
	})
	return events, err
}

// WakeReleases lets every release whose time has come tick, at most limit of
// them, and says how many did. One that cannot is put off for an hour and
// keeps no other waiting. Work calls it.
func (db *DB) WakeReleases(ctx context.Context, limit int) (int, error) {
	rows, err := db.pool.Query(ctx, `SELECT id FROM release WHERE wake_at <= $1 ORDER BY wake_at LIMIT $2`, db.Now(), limit)
	if err != nil {
		return 0, fmt.Errorf("look for releases to wake: %w", unavailable(err))
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[disclosure.ReleaseID])
	if err != nil {
		return 0, fmt.Errorf("look for releases to wake: %w", unavailable(err))
	}
	n := 0
	var failed []error
	for _, id := range ids {
		err := db.updateRelease(ctx, disclosure.System("work"), id, func(t *tx, lr *loadedRelease) error {
			lr.Tick(t.now)
			return nil
		})
		switch {
		case err == nil:
			n++
		case stopsAll(ctx, err):
			return n, err
		default:
			failed = append(failed, fmt.Errorf("wake release %s: %w", id, err))
			if _, err := db.pool.Exec(ctx, `UPDATE release SET wake_at = $2 WHERE id = $1 AND wake_at < $2`, id, db.Now().Add(badRowWaits)); err != nil {
				return n, fmt.Errorf("put release %s off: %w", id, unavailable(err))
			}
		}
	}
	return n, errors.Join(failed...)
}

// badRowWaits is how long a row that cannot be worked on is left alone.
const badRowWaits = time.Hour

// stopsAll reports whether an error is no single row's: the others would fail
// as this one did.
func stopsAll(ctx context.Context, err error) bool {
	return errors.Is(err, vault.ErrLocked) || errors.Is(err, ErrUnavailable) || errors.Is(err, disclosure.ErrHeld) || ctx.Err() != nil
}
