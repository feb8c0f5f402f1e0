package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/auth"
	"postern/internal/desk"
	"postern/internal/disclosure"
	"postern/internal/letters"
	"postern/internal/vault"
)

// inbox asks the desk for its first page, signed in, beside the statement that
// finds the page's rows.
func (b *bench) inbox(ctx context.Context) error {
	sizes, visits := []int{10_000, 100_000}, 150
	if b.quick {
		sizes, visits = []int{1000, 10_000}, 50
	}
	heading(fmt.Sprintf("Inbox: the first page, authorized, opened and rendered, at %d and %d cases", sizes[0], sizes[1]))
	var worlds []*office
	for _, n := range sizes {
		o, err := b.newOffice(ctx, n)
		if err != nil {
			return err
		}
		defer o.w.close()
		worlds = append(worlds, o)
	}
	pages, bare := make([][]time.Duration, len(sizes)), make([][]time.Duration, len(sizes))
	for round := range b.rounds + 1 { // the first warms up
		for i, o := range worlds {
			var page []time.Duration
			err := b.profiled("inbox", func() (err error) {
				page, err = timed(visits, o.page)
				return err
			})
			if err != nil {
				return err
			}
			sql, err := timed(visits, func() error { return o.bare(ctx) })
			if err != nil {
				return err
			}
			if round > 0 {
				pages[i], bare[i] = append(pages[i], page...), append(bare[i], sql...)
			}
		}
	}
	t := &table{}
	t.row("", "p50", "p99", "bytes")
	for i, n := range sizes {
		t.row(fmt.Sprintf("the page, %d cases", n), ms(percentile(pages[i], 50)), ms(percentile(pages[i], 99)), fmt.Sprint(worlds[i].bytes))
		t.row(fmt.Sprintf("its SQL alone, %d cases", n), ms(percentile(bare[i], 50)), ms(percentile(bare[i], 99)), "-")
	}
	t.print()
	for i, n := range sizes {
		b.aim(fmt.Sprintf("p50 of the page / p50 of its SQL at %d", n), ratio(percentile(pages[i], 50), percentile(bare[i], 50)), 5, false, "")
	}
	b.aim("p99 of the page at the larger / at the smaller", ratio(percentile(pages[1], 99), percentile(pages[0], 99)), 1.5, false, "")
	return nil
}

func timed(n int, f func() error) ([]time.Duration, error) {
	list := make([]time.Duration, 0, n)
	for range n {
		began := time.Now()
		if err := f(); err != nil {
			return nil, err
		}
		list = append(list, time.Since(began))
	}
	return list, nil
}

// office is a desk with many cases and a member signed in.
type office struct {
	w      *world
	desk   *desk.Desk
	cookie *http.Cookie
	bytes  int
}

func (b *bench) newOffice(ctx context.Context, n int) (*office, error) {
	w, err := b.world(ctx, vault.TestCost)
	if err != nil {
		return nil, err
	}
	o := &office{w: w}
	if err := o.fill(ctx, n); err != nil {
		w.close()
		return nil, fmt.Errorf("make %d cases: %w", n, err)
	}
	if err := o.open(ctx); err != nil {
		w.close()
		return nil, err
	}
	return o, nil
}

func (o *office) open(ctx context.Context) error {
	l, err := letters.New(nil)
	if err != nil {
		return err
	}
	o.desk, err = desk.New(desk.Config{DB: o.w.db, URL: "http://127.0.0.1", GateURL: "http://127.0.0.1", Letters: l,
		PasswordCost: auth.DefaultCost, VaultCost: vault.TestCost})
	if err != nil {
		return err
	}
	token := strings.Repeat("t", 43)
	hash := auth.HashToken(token)
	if err := o.w.db.NewSession(ctx, o.w.by.Member, 2, hash[:], "bench"); err != nil {
		return err
	}
	o.cookie = &http.Cookie{Name: "session", Value: token}
	if err := o.page(); err != nil {
		return err
	}
	return nil
}

// page is one visit.
func (o *office) page() error {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/inbox", nil)
	r.AddCookie(o.cookie)
	got := httptest.NewRecorder()
	o.desk.ServeHTTP(got, r)
	body := got.Body.String()
	o.bytes = len(body)
	if got.Code != http.StatusOK || strings.Count(body, "Overflow in the wick") < 50 {
		return fmt.Errorf("the inbox answered %d with %d bytes and %d rows: %w", got.Code, len(body), strings.Count(body, "Overflow in the wick"), errWrong)
	}
	return nil
}

// pageSQL finds the rows of the first page and the counts of its tabs, as
// postgres.Inbox asks for them.
const pageSQL = `SELECT c.id, c.number, c.state, c.restricted, coalesce(c.owner, ''), coalesce(o.name, ''), c.channel, c.protection,
	c.received, c.due_at, coalesce(c.release, ''), c.wrapped_key, c.key_version, c.card
	FROM cases c LEFT JOIN member o ON o.id = c.owner
	WHERE c.due_at IS NOT NULL AND c.state NOT IN ('disclosed', 'closed')
		AND (NOT c.restricted OR c.owner = $1 OR EXISTS (SELECT FROM case_access a WHERE a.case_id = c.id AND a.member = $1))
	ORDER BY c.due_at, c.id LIMIT 51`

const tallySQL = `SELECT state, n FROM case_tally`

func (o *office) bare(ctx context.Context) error {
	batch := &pgx.Batch{}
	read := func(rows pgx.Rows) error {
		for rows.Next() {
			_ = rows.RawValues()
		}
		return rows.Err()
	}
	batch.Queue(pageSQL, string(o.w.by.Member)).Query(read)
	batch.Queue(tallySQL).Query(read)
	return o.w.db.Pool().SendBatch(ctx, batch).Close()
}

// caseCard is postgres's, which alone knows the form of what it seals.
type caseCard struct {
	Title  string
	Clock  *disclosure.Clock
	Level  string
	Unread bool
}

// fill copies n cases into the table: one in five open with a deadline, one in
// five hundred restricted, cards and bodies really sealed under keys of their
// own. The rest of a case, which the inbox does not touch, is not there.
func (o *office) fill(ctx context.Context, n int) error {
	key, err := o.w.db.Vault().DeskKey()
	if err != nil {
		return err
	}
	var owners []disclosure.MemberID
	for i := range 5 {
		m, err := o.w.member(ctx, fmt.Sprintf("Member%d", i), disclosure.Triager)
		if err != nil {
			return err
		}
		owners = append(owners, m.Member)
	}
	g := &generator{instance: o.w.instance, desk: key, owners: owners, now: o.w.db.Now(), r: rand.New(rand.NewPCG(7, 7))}
	conn, err := connect(ctx, o.w.deskURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	columns := []string{"id", "number", "state", "restricted", "owner", "channel", "protection", "received", "policy_version",
		"due_at", "wrapped_key", "card", "body", "closed_at"}
	_, err = conn.CopyFrom(ctx, pgx.Identifier{"cases"}, columns, pgx.CopyFromSlice(n, func(i int) ([]any, error) { return g.row(i + 1) }))
	if err != nil {
		return err
	}
	if err := o.w.db.FoldTallies(ctx); err != nil {
		return err
	}
	owner, err := connect(ctx, o.w.c.Admin(o.w.name))
	if err != nil {
		return err
	}
	defer owner.Close(ctx)
	_, err = owner.Exec(ctx, `VACUUM ANALYZE`)
	return err
}

type generator struct {
	instance vault.InstanceID
	desk     vault.Key
	owners   []disclosure.MemberID
	now      time.Time
	r        *rand.Rand
}

func (g *generator) row(number int) ([]any, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "case %d", number))
	id := fmt.Sprintf("%x", sum[:16])
	aad := func(column, owner string) vault.AAD {
		return vault.AAD{Instance: g.instance, Table: "cases", Column: column, Row: id, Owner: owner, Version: 1}
	}
	received := g.now.Add(-time.Duration(g.r.IntN(1000*24)) * time.Hour)
	state, due, closed := disclosure.Closed, (*time.Time)(nil), &g.now
	var clock *disclosure.Clock
	if number%5 == 0 {
		at := g.now.Add(time.Duration(g.r.IntN(90*24*60)-10*24*60) * time.Minute)
		state, due, closed = []disclosure.CaseState{disclosure.Received, disclosure.Triage, disclosure.Accepted}[g.r.IntN(3)], &at, nil
		clock = &disclosure.Clock{Name: "ack", Words: "first answer", Started: received, Due: at}
	}
	card, err := json.Marshal(caseCard{Title: fmt.Sprintf("Overflow in the wick of lantern number %d", number), Clock: clock,
		Level: []string{"critical", "high", "moderate", "low"}[g.r.IntN(4)], Unread: number%7 == 0})
	if err != nil {
		return nil, err
	}
	key := vault.NewKey()
	var owner *string
	if number%3 > 0 {
		o := string(g.owners[g.r.IntN(len(g.owners))])
		owner = &o
	}
	return []any{id, number, string(state), number%500 == 0, owner, "api", "current/valid-known/whole", received, 1,
		due, g.desk.Wrap(aad("wrapped_key", ""), key), key.Seal(aad("card", id), card), key.Seal(aad("body", id), []byte(`{}`)), closed}, nil
}
