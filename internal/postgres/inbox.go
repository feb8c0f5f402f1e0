package postgres

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
	"postern/internal/vault"
)

// InboxTab chooses by state.
type InboxTab string

const (
	TabOpen InboxTab = ""    // neither disclosed nor closed
	TabAll  InboxTab = "all" // every state; the other tabs are the states' own names
)

// InboxQuery is one page of the inbox. The zero value is the first page of
// what is open.
type InboxQuery struct {
	Tab        InboxTab            // or a CaseState
	Owner      disclosure.MemberID // empty: anybody's
	Unowned    bool
	Channel    disclosure.Channel
	Encryption disclosure.Encryption // of the first message
	Overdue    bool
	// Level and Words are sealed, so they are looked at in memory, over at most
	// 2,000 cases a page.
	Level string
	Words string                  // in the title, a number, or Found; every word must occur
	Found map[string]map[int]bool // by word of Words, in lower case: numbers of cases it was found in elsewhere
	After string                  // InboxPage.Next of the page before; empty: the first page
	Limit int                     // 0: 50; at most 200
}

// InboxRow is a case as the inbox shows it.
type InboxRow struct {
	ID         disclosure.CaseID
	Number     int
	Title      string
	State      disclosure.CaseState
	Restricted bool
	Owner      disclosure.MemberID
	OwnerName  string
	Channel    disclosure.Channel
	Protection disclosure.Protection
	Received   time.Time
	Due        time.Time         // zero: nothing is promised any more
	Clock      *disclosure.Clock // the nearest promise not kept; nil: none
	Verdict    disclosure.Verdict
	Level      string
	Attention  string
	Unread     bool // something came, and no member has done anything since
	Release    disclosure.ReleaseID
}

// InboxPage is one page, with the counts of all that the caller may see, and
// what is shown beside it.
type InboxPage struct {
	Rows    []InboxRow
	Next    string // cursor; empty: there is no further page
	Tallies map[disclosure.CaseState]int
	Members []Member // all of them, as DB.Members lists them
	Around  Around
}

// inboxScan bounds the cases opened for one page of a search in memory.
const inboxScan = 2000

// Inbox is a page of cases: first those with a promise, by its deadline, a
// broken one staying where it is; then the others, newest first. Only cards
// are opened, and nothing is logged. Restricted cases of others are absent
// from rows and counts.
func (db *DB) Inbox(ctx context.Context, by disclosure.Caller, q InboxQuery) (InboxPage, error) {
	if !mayOpen(by) {
		return InboxPage{}, disclosure.ErrForbidden
	}
	desk, err := db.deskKey()
	if err != nil {
		return InboxPage{}, err
	}
	at, err := parseInboxCursor(q.After)
	if err != nil {
		return InboxPage{}, err
	}
	if q.Limit <= 0 {
		q.Limit = 50
	}
	q.Limit = min(q.Limit, 200)
	page := InboxPage{Tallies: map[disclosure.CaseState]int{}}
	words := strings.Fields(strings.ToLower(q.Words))
	sieve := q.Level != "" || len(words) > 0
	for scanned, first := 0, true; ; first = false {
		take := q.Limit + 1
		if sieve {
			take = 200
		}
		var beside *InboxPage
		if first {
			beside = &page
		}
		rows, end, err := db.inboxRows(ctx, by, desk, q, at, take, beside)
		if err != nil {
			return InboxPage{}, fmt.Errorf("read the inbox: %w", unavailable(err))
		}
		for _, r := range rows {
			if sieve && !r.matches(q.Level, words, q.Found) {
				at = cursorOf(r)
				continue
			}
			if len(page.Rows) == q.Limit {
				page.Next = at.String()
				return page, nil
			}
			page.Rows = append(page.Rows, r)
			at = cursorOf(r)
		}
		if end {
			return page, nil
		}
		if scanned += len(rows); scanned >= inboxScan {
			page.Next = at.String()
			return page, nil
		}
	}
}

func (r InboxRow) matches(level string, words []string, found map[string]map[int]bool) bool {
	if level != "" && r.Level != level {
		return false
	}
	title := strings.ToLower(r.Title)
	for _, w := range words {
		if !strings.Contains(title, w) && strings.TrimPrefix(w, "#") != strconv.Itoa(r.Number) && !(found[w][r.Number] && !r.Restricted) {
			return false
		}
	}
	return true
}

// inboxCursor is the last row of a page: by deadline, or by number among those
// without one.
type inboxCursor struct {
	due    time.Time
	id     string
	number int // > 0: among those without a deadline
}

func cursorOf(r InboxRow) inboxCursor {
	if r.Due.IsZero() {
		return inboxCursor{number: r.Number}
	}
	return inboxCursor{due: r.Due, id: string(r.ID)}
}

func (c inboxCursor) String() string {
	s := "n " + strconv.Itoa(c.number)
	if c.number == 0 {
		s = "d " + strconv.FormatInt(c.due.UnixMicro(), 10) + " " + c.id
	}
	return base64.RawURLEncoding.EncodeToString([]byte(s))
}

func parseInboxCursor(s string) (c inboxCursor, err error) {
	if s == "" {
		return c, nil
	}
	bad := disclosure.Refuse("after", "This page address is not complete. Start again from the first page.")
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return c, bad
	}
	switch parts := strings.Split(string(b), " "); {
	case len(parts) == 2 && parts[0] == "n":
		if c.number, err = strconv.Atoi(parts[1]); err != nil || c.number < 1 {
			return c, bad
		}
	case len(parts) == 3 && parts[0] == "d" && parts[2] != "" && len(parts[2]) <= 64:
		micro, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			return c, bad
		}
		c.due, c.id = time.UnixMicro(micro).UTC(), parts[2]
	default:
		return c, bad
	}
	return c, nil
}

// inboxSQL is one of the two halves: with a deadline, or without. The planner
// finds an index for each, so a page costs the same however many cases there are.
func inboxSQL(by disclosure.Caller, q InboxQuery, at inboxCursor, due bool, limit int, now time.Time) (string, []any) {
	var where []string
	var args []any
	add := func(cond string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			cond = strings.Replace(cond, "?", "$"+strconv.Itoa(len(args)), 1)
		}
		where = append(where, cond)
	}
	order := "c.due_at, c.id"
	if due {
		add("c.due_at IS NOT NULL")
		if at.id != "" {
			add("(c.due_at, c.id) > (?, ?)", at.due, at.id)
		}
	} else {
		order = "c.number DESC"
		add("c.due_at IS NULL")
		if at.number > 0 {
			add("c.number < ?", at.number)
		}
	}
	switch q.Tab {
	case TabAll:
	case TabOpen:
		add("c.state NOT IN ('disclosed', 'closed')")
	default:
		add("c.state = ?", string(q.Tab))
	}
	if q.Owner != "" {
		add("c.owner = ?", string(q.Owner))
	}
	if q.Unowned {
		add("c.owner IS NULL")
	}
	if q.Channel != "" {
		add("c.channel = ?", string(q.Channel))
	}
	if q.Encryption != "" {
		add("starts_with(c.protection, ?)", string(q.Encryption)+"/")
	}
	if q.Overdue {
		add("c.due_at < ?", now)
	}
	if !by.IsSystem() {
		add(visibleTo("c", "?", "?"), string(by.Member), string(by.Member))
	}
	return `SELECT c.id, c.number, c.state, c.restricted, coalesce(c.owner, ''), coalesce(o.name, ''), c.channel, c.protection,
		c.received, c.due_at, coalesce(c.release, ''), c.wrapped_key, c.key_version, c.card
		FROM cases c LEFT JOIN member o ON o.id = c.owner
		WHERE ` + strings.Join(where, " AND ") + ` ORDER BY ` + order + ` LIMIT ` + strconv.Itoa(limit), args
}

// visibleTo is Case.VisibleTo as SQL, for members who may open cases at all. It
// is never null, so that it can be negated.
func visibleTo(alias, owner, member string) string {
	return `(NOT ` + alias + `.restricted OR ` + alias + `.owner IS NOT DISTINCT FROM ` + owner +
		` OR EXISTS (SELECT FROM case_access a WHERE a.case_id = ` + alias + `.id AND a.member = ` + member + `))`
}

// inboxRows reads at most limit rows after the cursor; end says that there are
// no more. What is shown beside them comes along where it is asked for.
func (db *DB) inboxRows(ctx context.Context, by disclosure.Caller, desk vault.Key, q InboxQuery, at inboxCursor, limit int,
	beside *InboxPage) (rows []InboxRow, end bool, err error) {
	now := db.Now()
	batch := &pgx.Batch{}
	if at.number == 0 {
		sql, args := inboxSQL(by, q, at, true, limit, now)
		batch.Queue(sql, args...).Query(func(r pgx.Rows) (err error) {
			rows, err = db.scanInbox(r, desk)
			return err
		})
	}
	if beside != nil {
		queueTallies(batch, by, beside.Tallies)
		queueMembers(batch, &beside.Members)
		queueAround(batch, by, &beside.Around)
	}
	if batch.Len() > 0 {
		if err := db.pool.SendBatch(ctx, batch).Close(); err != nil {
			return nil, false, err
		}
	}
	if beside != nil {
		if err := db.addPolicy(ctx, &beside.Around); err != nil {
			return nil, false, err
		}
	}
	if len(rows) == limit {
		return rows, false, nil
	}
	if q.Overdue { // what has no deadline cannot be overdue
		return rows, true, nil
	}
	rest := limit - len(rows)
	sql, args := inboxSQL(by, q, inboxCursor{number: at.number}, false, rest, now)
	r, err := db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, false, err
	}
	more, err := db.scanInbox(r, desk)
	if err != nil {
		return nil, false, err
	}
	return slices.Concat(rows, more), len(more) < rest, nil
}

func (db *DB) scanInbox(rows pgx.Rows, desk vault.Key) ([]InboxRow, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r InboxRow, err error) {
		var protection string
		var due *time.Time
		var wrapped, sealed []byte
		var version int
		err = row.Scan(&r.ID, &r.Number, &r.State, &r.Restricted, &r.Owner, &r.OwnerName, &r.Channel, &protection,
			&r.Received, &due, &r.Release, &wrapped, &version, &sealed)
		if err != nil {
			return r, err
		}
		key, err := desk.Unwrap(db.aad("cases", "wrapped_key", string(r.ID), "", version), wrapped)
		if err != nil {
			return r, fmt.Errorf("unwrap the key of case #%d: %w", r.Number, err)
		}
		var c caseCard
		if err := openJSON(key, db.aad("cases", "card", string(r.ID), string(r.ID), version), sealed, &c); err != nil {
			return r, err
		}
		r.Received, r.Due, r.Protection = r.Received.UTC(), timeOf(due), splitProtection(protection)
		r.Protection.Signer, r.Protection.Problem = c.Signer, c.Problem
		r.Title, r.Clock, r.Verdict, r.Level, r.Attention, r.Unread = c.Title, c.Clock, c.Verdict, c.Level, c.Attention, c.Unread
		return r, nil
	})
}

// queueTallies adds what everybody may see, from the kept counters, and the
// restricted ones this caller may see.
func queueTallies(batch *pgx.Batch, by disclosure.Caller, tallies map[disclosure.CaseState]int) {
	add := func(rows pgx.Rows) error {
		var state disclosure.CaseState
		var n int
		_, err := pgx.ForEachRow(rows, []any{&state, &n}, func() error { tallies[state] += n; return nil })
		return err
	}
	batch.Queue(`SELECT state, n FROM case_tally`).Query(add)
	if by.IsSystem() {
		batch.Queue(`SELECT state, 1 FROM cases c WHERE restricted`).Query(add)
		return
	}
	batch.Queue(`SELECT c.state, 1 FROM cases c WHERE c.restricted AND `+visibleTo("c", "$1", "$1"), string(by.Member)).Query(add)
}

// FoldTallies adds the kept counters together when there are many. Work calls
// it now and then.
func (db *DB) FoldTallies(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `WITH gone AS (
			DELETE FROM case_tally WHERE (SELECT count(*) FROM case_tally) > 32 RETURNING state, n)
		INSERT INTO case_tally (state, n) SELECT state, sum(n)::integer FROM gone GROUP BY state HAVING sum(n) <> 0`)
	if err != nil {
		return fmt.Errorf("fold the counters: %w", unavailable(err))
	}
	return nil
}
