package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// This file alone knows how a case lies in its tables: cases, case_access,
// reporter, and event.

// caseBefore is what saving must know of how the case was loaded.
type caseBefore struct {
	state      disclosure.CaseState
	restricted bool
	unread     bool
	statuses   map[disclosure.ReporterID]string // what each mailbox shows
}

// caseBody is what is sealed of a case beside its card.
type caseBody struct {
	Track          disclosure.Track
	Title          string
	Signer         string
	Problem        string
	Acknowledged   time.Time
	AcknowledgedBy string
	Decided        time.Time
	Attention      string
	Severity       disclosure.Severity
	Class          string
	Affected       []disclosure.Affected
	CVE            string
	PublicName     string
	Public         disclosure.Text
	Verdict        disclosure.Verdict
	VerdictNote    string
	Cited          string
	DuplicateOf    disclosure.CaseID
	Alerted        map[string]disclosure.Stage
	Merged         disclosure.CaseID
}

// caseCard is what lists show.
type caseCard struct {
	Title     string
	Clock     *disclosure.Clock // the nearest promise not kept
	Verdict   disclosure.Verdict
	Level     string
	Attention string
	Unread    bool
	Signer    string
	Problem   string
}

const caseColumns = `c.id, c.number, c.state, c.restricted, coalesce(c.owner, ''), coalesce(o.name, ''), c.channel, c.protection,
	c.received, c.policy_version, c.version, c.wrapped_key, c.key_version, c.body, c.closed_at, c.disclosed_at,
	r.id, r.state, r.generation, r.at, c.card`

const caseTables = `cases c LEFT JOIN member o ON o.id = c.owner LEFT JOIN release r ON r.id = c.release`

// loadCase loads a case and, when lock is set, locks its row. The caller's
// right to see it is not checked: use Case.VisibleTo. Its key stays in t.keys.
func (t *tx) loadCase(ctx context.Context, id disclosure.CaseID, lock bool) (*disclosure.Case, error) {
	list, err := t.loadCases(ctx, []disclosure.CaseID{id}, lock)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("load case %s: %w", id, disclosure.ErrNotFound)
	}
	return list[0], nil
}

// loadCasesOf loads a release's cases, locked by id, ordered by number. The
// release must be locked already.
func (t *tx) loadCasesOf(ctx context.Context, release disclosure.ReleaseID, lock bool) ([]*disclosure.Case, error) {
	rows, err := t.Query(ctx, `SELECT id FROM cases WHERE release = $1`, release)
	if err != nil {
		return nil, fmt.Errorf("list the cases of release %s: %w", release, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[disclosure.CaseID])
	if err != nil {
		return nil, fmt.Errorf("list the cases of release %s: %w", release, err)
	}
	return t.loadCases(ctx, ids, lock)
}

// loadCases loads those that exist, ordered by number, in one round trip.
func (t *tx) loadCases(ctx context.Context, ids []disclosure.CaseID, lock bool) ([]*disclosure.Case, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	query := `SELECT ` + caseColumns + ` FROM ` + caseTables + ` WHERE c.id = ANY($1) ORDER BY c.id`
	if lock {
		query += ` FOR NO KEY UPDATE OF c` // by id: the one order everywhere
	}
	byID := map[disclosure.CaseID]*disclosure.Case{}
	batch := &pgx.Batch{}
	batch.Queue(query, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			c, err := t.scanCase(rows)
			if err != nil {
				return err
			}
			byID[c.ID] = c
		}
		return rows.Err()
	})
	batch.Queue(`SELECT case_id, member FROM case_access WHERE case_id = ANY($1) ORDER BY member`, ids).Query(func(rows pgx.Rows) error {
		var id disclosure.CaseID
		var m disclosure.MemberID
		_, err := pgx.ForEachRow(rows, []any{&id, &m}, func() error {
			if c := byID[id]; c != nil {
				c.Allowed = append(c.Allowed, m)
			}
			return nil
		})
		return err
	})
	batch.Queue(`SELECT case_id, id, arrival, received, channel, coalesce(mailbox, ''), sealed FROM reporter
		WHERE case_id = ANY($1) ORDER BY received, id`, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := t.scanReporter(rows, byID); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	batch.Queue(`SELECT case_id, id, sealed FROM file WHERE case_id = ANY($1) ORDER BY added, id`, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id disclosure.CaseID
			var f disclosure.File
			var sealed []byte
			if err := rows.Scan(&id, &f.ID, &sealed); err != nil {
				return err
			}
			c := byID[id]
			if c == nil {
				continue
			}
			if err := openJSON(t.keys[string(id)], t.db.aad("file", "sealed", string(f.ID), string(id), 1), sealed, &f); err != nil {
				return err
			}
			c.Files = append(c.Files, f)
		}
		return rows.Err()
	})
	if err := t.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("load cases: %w", err)
	}
	list := make([]*disclosure.Case, 0, len(byID))
	for _, c := range byID {
		was := t.was[c.ID]
		was.statuses = statusPrints(c)
		t.was[c.ID] = was
		p, err := t.db.policy(ctx, t, c.PolicyVersion)
		if err != nil {
			return nil, err
		}
		c.Policy = p
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *disclosure.Case) int { return a.Number - b.Number })
	return list, nil
}

func (t *tx) scanCase(rows pgx.Rows) (*disclosure.Case, error) {
	c := &disclosure.Case{}
	var protection string
	var wrapped, body, card []byte
	var keyVersion int
	var closed, disclosed, at *time.Time
	var release, state *string
	var generation *int
	err := rows.Scan(&c.ID, &c.Number, &c.State, &c.Restricted, &c.Owner, &c.OwnerName, &c.Channel, &protection,
		&c.Received, &c.PolicyVersion, &c.Version, &wrapped, &keyVersion, &body, &closed, &disclosed,
		&release, &state, &generation, &at, &card)
	if err != nil {
		return nil, err
	}
	key, err := t.db.openOwnerKey("cases", string(c.ID), wrapped, keyVersion)
	if err != nil {
		return nil, err
	}
	t.keys[string(c.ID)] = key
	var b caseBody
	if err := openJSON(key, t.db.aad("cases", "body", string(c.ID), string(c.ID), keyVersion), body, &b); err != nil {
		return nil, err
	}
	var shown caseCard
	if err := openJSON(key, t.db.aad("cases", "card", string(c.ID), string(c.ID), keyVersion), card, &shown); err != nil {
		return nil, err
	}
	t.was[c.ID] = caseBefore{state: c.State, restricted: c.Restricted, unread: shown.Unread}
	c.Received, c.ClosedAt, c.DisclosedAt = c.Received.UTC(), timeOf(closed), timeOf(disclosed)
	c.Protection = splitProtection(protection)
	c.Protection.Signer, c.Protection.Problem = b.Signer, b.Problem
	if release != nil {
		c.Release = &disclosure.CaseRelease{ID: disclosure.ReleaseID(*release), State: disclosure.ReleaseState(*state),
			Generation: *generation, At: timeOf(at)}
	}
	c.Track, c.Title, c.Acknowledged, c.AcknowledgedBy, c.Decided = b.Track, b.Title, b.Acknowledged, b.AcknowledgedBy, b.Decided
	c.Attention, c.Severity, c.Class, c.Affected, c.CVE = b.Attention, b.Severity, b.Class, b.Affected, b.CVE
	c.PublicName, c.Public, c.Verdict, c.VerdictNote, c.Cited = b.PublicName, b.Public, b.Verdict, b.VerdictNote, b.Cited
	c.DuplicateOf, c.Alerted, c.Merged = b.DuplicateOf, b.Alerted, b.Merged
	return c, nil
}

func (t *tx) scanReporter(rows pgx.Rows, byID map[disclosure.CaseID]*disclosure.Case) error {
	var r disclosure.Reporter
	var sealed []byte
	var plain disclosure.Reporter
	if err := rows.Scan(&plain.Case, &plain.ID, &plain.Arrival, &plain.Received, &plain.Channel, &plain.Mailbox, &sealed); err != nil {
		return err
	}
	c := byID[plain.Case]
	if c == nil {
		return nil
	}
	aad := t.db.aad("reporter", "sealed", string(plain.ID), string(plain.Case), 1)
	if err := openJSON(t.keys[string(plain.Case)], aad, sealed, &r); err != nil {
		return err
	}
	r.ID, r.Case, r.Arrival, r.Received, r.Channel, r.Mailbox = plain.ID, plain.Case, plain.Arrival, plain.Received.UTC(), plain.Channel, plain.Mailbox
	c.Reporters = append(c.Reporters, r)
	return nil
}

func joinProtection(p disclosure.Protection) string {
	return string(p.Encryption) + "/" + string(p.Signature) + "/" + string(p.Integrity)
}

func splitProtection(s string) disclosure.Protection {
	parts := append(strings.Split(s, "/"), "", "", "")
	return disclosure.Protection{Encryption: disclosure.Encryption(parts[0]), Signature: disclosure.Signature(parts[1]),
		Integrity: disclosure.Integrity(parts[2])}
}

// nearest is the running promise that is due first; nil when there is none.
func nearest(clocks []disclosure.Clock) *disclosure.Clock {
	var first *disclosure.Clock
	for i, c := range clocks {
		if c.Running() && (first == nil || c.Due.Before(first.Due)) {
			first = &clocks[i]
		}
	}
	return first
}

// newCaseKey makes the key of a case that is about to be saved for the first
// time. Its files may be stored before it is.
func (t *tx) newCaseKey(id disclosure.CaseID) (wrapped []byte, err error) {
	key, wrapped, err := t.db.newOwnerKey("cases", string(id))
	if err != nil {
		return nil, err
	}
	t.keys[string(id)] = key
	return wrapped, nil
}

// nextNumber gives #42 its number. Numbers may have gaps.
func (t *tx) nextNumber(ctx context.Context) (n int, err error) {
	if err := t.QueryRow(ctx, `SELECT nextval('case_number')`).Scan(&n); err != nil {
		return 0, fmt.Errorf("take a case number: %w", err)
	}
	return n, nil
}

// insertCase saves a case for the first time, under the wrapped key that
// newCaseKey gave.
func (t *tx) insertCase(ctx context.Context, c *disclosure.Case, wrapped []byte) error {
	card, body, err := t.sealCase(c, t.by.IsSystem())
	if err != nil {
		return err
	}
	_, err = t.Exec(ctx, `INSERT INTO cases (id, number, state, restricted, owner, channel, protection, received, policy_version,
			wake_at, due_at, wrapped_key, card, body, closed_at)
		VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		c.ID, c.Number, c.State, c.Restricted, c.Owner, c.Channel, joinProtection(c.Protection), c.Received, c.PolicyVersion,
		orNull(c.Wake()), orNull(c.Due()), wrapped, card, body, orNull(c.ClosedAt))
	if err != nil {
		return fmt.Errorf("store case #%d: %w", c.Number, err)
	}
	c.Version = 1
	return t.saveAround(ctx, c, caseBefore{})
}

// saveCase writes a loaded case with its events, alerts, statuses and log rows.
func (t *tx) saveCase(ctx context.Context, c *disclosure.Case) error {
	before, ok := t.was[c.ID]
	if !ok {
		return fmt.Errorf("save case #%d: it was not loaded in this transaction", c.Number)
	}
	return t.saveCaseAs(ctx, c, before.unread && t.by.IsSystem())
}

// saveCaseAs is saveCase with a word on whether something in it waits to be
// read: what arrived does, and any step of a member says it was.
func (t *tx) saveCaseAs(ctx context.Context, c *disclosure.Case, unread bool) error {
	card, body, err := t.sealCase(c, unread)
	if err != nil {
		return err
	}
	var release *disclosure.ReleaseID
	if c.Release != nil {
		release = &c.Release.ID
	}
	tag, err := t.Exec(ctx, `UPDATE cases SET state = $2, restricted = $3, owner = nullif($4, ''), release = $5, wake_at = $6,
			due_at = $7, card = $8, body = $9, closed_at = $10, disclosed_at = $11, version = version + 1
		WHERE id = $1 AND version = $12`,
		c.ID, c.State, c.Restricted, c.Owner, release, orNull(c.Wake()), orNull(c.Due()), card, body,
		orNull(c.ClosedAt), orNull(c.DisclosedAt), c.Version)
	if err != nil {
		return fmt.Errorf("save case #%d: %w", c.Number, err)
	}
	if tag.RowsAffected() == 0 {
		return disclosure.ErrStale
	}
	c.Version++
	return t.saveAround(ctx, c, t.was[c.ID])
}

func (t *tx) sealCase(c *disclosure.Case, unread bool) (card, body []byte, err error) {
	key, ok := t.keys[string(c.ID)]
	if !ok {
		return nil, nil, fmt.Errorf("save case #%d: its key was not opened", c.Number)
	}
	clock := nearest(c.Clocks())
	if c.Over() {
		clock = nil
	}
	card, err = sealJSON(key, t.db.aad("cases", "card", string(c.ID), string(c.ID), 1), caseCard{
		Title: c.Title, Clock: clock, Verdict: c.Verdict, Level: c.Severity.Level, Attention: c.Attention, Unread: unread,
		Signer: c.Protection.Signer, Problem: c.Protection.Problem,
	})
	if err != nil {
		return nil, nil, err
	}
	body, err = sealJSON(key, t.db.aad("cases", "body", string(c.ID), string(c.ID), 1), caseBody{
		Track: c.Track, Title: c.Title, Signer: c.Protection.Signer, Problem: c.Protection.Problem,
		Acknowledged: c.Acknowledged, AcknowledgedBy: c.AcknowledgedBy, Decided: c.Decided, Attention: c.Attention,
		Severity: c.Severity, Class: c.Class, Affected: c.Affected, CVE: c.CVE, PublicName: c.PublicName, Public: c.Public,
		Verdict: c.Verdict, VerdictNote: c.VerdictNote, Cited: c.Cited, DuplicateOf: c.DuplicateOf, Alerted: c.Alerted, Merged: c.Merged,
	})
	return card, body, err
}

// saveAround writes what stands beside the case's own row.
func (t *tx) saveAround(ctx context.Context, c *disclosure.Case, before caseBefore) error {
	key := t.keys[string(c.ID)]
	batch := &pgx.Batch{}
	if c.Restricted || before.restricted {
		allowed := c.Allowed
		if !c.Restricted {
			allowed = nil
		}
		if allowed == nil {
			allowed = []disclosure.MemberID{}
		}
		batch.Queue(`DELETE FROM case_access WHERE case_id = $1 AND NOT member = ANY($2)`, c.ID, allowed)
		batch.Queue(`INSERT INTO case_access (case_id, member) SELECT $1, m.id FROM member m WHERE m.id = ANY($2) ON CONFLICT DO NOTHING`,
			c.ID, allowed)
	}
	for _, r := range c.Reporters {
		sealed, err := sealJSON(key, t.db.aad("reporter", "sealed", string(r.ID), string(c.ID), 1), r)
		if err != nil {
			return err
		}
		was := ""
		if n := len(r.Origins); n > 0 {
			was = string(r.Origins[n-1])
		}
		senders, err := t.db.senderMACs(r)
		if err != nil {
			return err
		}
		batch.Queue(`INSERT INTO reporter (id, case_id, arrival, received, channel, mailbox, was_in, sealed, senders)
			VALUES ($1, $2, $3, $4, $5, nullif($6, ''), nullif($7, ''), $8, $9)
			ON CONFLICT (id) DO UPDATE SET case_id = excluded.case_id, mailbox = excluded.mailbox, was_in = excluded.was_in,
				sealed = excluded.sealed, senders = excluded.senders`,
			r.ID, c.ID, r.Arrival, r.Received, r.Channel, r.Mailbox, was, sealed, senders)
	}
	if batch.Len() > 0 {
		if err := t.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("save what belongs to case #%d: %w", c.Number, err)
		}
	}
	events := c.Events()
	if err := t.saveEvents(ctx, owner{Case: c.ID}, key, events); err != nil {
		return err
	}
	for _, e := range events {
		t.note("case."+string(e.Kind), string(c.ID), nil)
	}
	if err := t.postStatuses(ctx, c, before.statuses); err != nil {
		return err
	}
	t.was[c.ID] = caseBefore{state: c.State, restricted: c.Restricted, statuses: statusPrints(c)}
	return t.alertMembers(ctx, c.Alerts(), c.ID)
}

// eventBody is what is sealed of an event.
type eventBody struct {
	By   string
	Text string
	N    int // order among those of one moment
}

// saveEvents seals events under the key of what they are about.
func (t *tx) saveEvents(ctx context.Context, of owner, key vault.Key, events []disclosure.Event) error {
	if len(events) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for i, e := range events {
		id := disclosure.NewID()
		sealed, err := sealJSON(key, t.db.aad("event", "sealed", id, of.id(), 1), eventBody{e.By, e.Text, i})
		if err != nil {
			return err
		}
		batch.Queue(`INSERT INTO event (id, case_id, release, application, kind, at, member, sealed)
			VALUES ($1, nullif($2, ''), nullif($3, ''), nullif($4, ''), $5, $6, nullif($7, ''), $8)`, id, of.Case, of.Release, of.Application, e.Kind, e.At, e.Member, sealed)
	}
	if err := t.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("store the history: %w", err)
	}
	return nil
}

// loadEvents opens the history of what it is about, oldest first.
func (t *tx) loadEvents(ctx context.Context, of owner, key vault.Key) ([]disclosure.Event, error) {
	rows, err := t.Query(ctx, `SELECT id, kind, at, coalesce(member, ''), sealed FROM event
		WHERE ($1 <> '' AND case_id = $1) OR ($2 <> '' AND release = $2) OR ($3 <> '' AND application = $3) ORDER BY at, id`,
		of.Case, of.Release, of.Application)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	type line struct {
		disclosure.Event
		n int
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l line, err error) {
		var id string
		var sealed []byte
		if err := row.Scan(&id, &l.Kind, &l.At, &l.Member, &sealed); err != nil {
			return l, err
		}
		var b eventBody
		err = openJSON(key, t.db.aad("event", "sealed", id, of.id(), 1), sealed, &b)
		l.By, l.Text, l.n, l.At = b.By, b.Text, b.N, l.At.UTC()
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	slices.SortStableFunc(lines, func(a, b line) int {
		if d := a.At.Compare(b.At); d != 0 {
			return d
		}
		return a.n - b.n
	})
	events := make([]disclosure.Event, len(lines))
	for i, l := range lines {
		events[i] = l.Event
	}
	return events, nil
}

// postItem seals an item to a mailbox and puts it there; ErrNotFound when
// there is no such mailbox.
func (t *tx) postItem(ctx context.Context, box disclosure.MailboxID, item disclosure.MailboxItem) error {
	// Bytes of files lie beside it, as items of their own.
	for i := range item.Files {
		f := &item.Files[i]
		if f.Bytes == nil {
			continue
		}
		sum := sha256.Sum256(f.Bytes)
		id, err := t.postBytes(ctx, box, disclosure.ItemFile, item.At, f.Bytes)
		if err != nil {
			return err
		}
		f.Item, f.Size, f.SHA256, f.Bytes = id, int64(len(f.Bytes)), hex.EncodeToString(sum[:]), nil
	}
	b, err := json.Marshal(item)
	if err != nil {
		return fmt.Errorf("write a mailbox item: %w", err)
	}
	_, err = t.postBytes(ctx, box, item.Kind, item.At, b)
	return err
}

func (t *tx) postBytes(ctx context.Context, box disclosure.MailboxID, kind disclosure.MailboxItemKind, at time.Time, b []byte) (id string, err error) {
	var public []byte
	if err := t.QueryRow(ctx, `SELECT public FROM mailbox WHERE id = $1`, box).Scan(&public); err != nil {
		return "", fmt.Errorf("read a mailbox's key: %w", notFound(err))
	}
	id = disclosure.NewID()
	sealed, err := vault.SealToMailbox(public, disclosure.MailboxInfo(string(t.db.instance), box, id, kind), b)
	if err != nil {
		return "", err
	}
	_, err = t.Exec(ctx, `INSERT INTO mailbox_item (id, mailbox, kind, at, sealed) VALUES ($1, $2, $3, $4, $5)`, id, box, kind, at, sealed)
	if err != nil {
		return "", fmt.Errorf("put an item into a mailbox: %w", err)
	}
	return id, nil
}
