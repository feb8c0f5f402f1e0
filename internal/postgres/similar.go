package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"postern/internal/disclosure"
)

// OpenCase is what can be told of an open case without opening it.
type OpenCase struct {
	ID         disclosure.CaseID
	Number     int
	Version    int
	Restricted bool
}

// maxOpenCases bounds how many open cases are looked through for likely
// duplicates: the newest.
const maxOpenCases = 5000

// OpenCases lists the newest open cases that the caller may see.
func (db *DB) OpenCases(ctx context.Context, by disclosure.Caller) ([]OpenCase, error) {
	if !mayOpen(by) {
		return nil, disclosure.ErrForbidden
	}
	rows, err := db.pool.Query(ctx, `SELECT c.id, c.number, c.version, c.restricted FROM cases c WHERE c.state NOT IN ('disclosed', 'closed')
		AND ($1 OR NOT c.restricted OR c.owner = $2 OR EXISTS (SELECT FROM case_access x WHERE x.case_id = c.id AND x.member = $2))
		ORDER BY c.number DESC LIMIT $3`, by.IsSystem(), by.Member, maxOpenCases)
	if err != nil {
		return nil, fmt.Errorf("list the open cases: %w", unavailable(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[OpenCase])
	if err != nil {
		return nil, fmt.Errorf("list the open cases: %w", unavailable(err))
	}
	return list, nil
}

// CaseText is what search needs of a case.
type CaseText struct {
	Number int
	Title  string
	Text   string // what came from outside, and what is drafted for the public; at most 32 KiB
	People string // who reported it, and its CVE id
}

// maxCaseText is how much of a case's text is searched.
const maxCaseText = 32 << 10

// CaseTexts opens what search needs of cases that the caller may see; others
// are left out. It is one row of the log, not one a case: with the numbers of
// what was opened, at the case that it is read for. That case's own text is the
// thread's, whose reading it is.
func (db *DB) CaseTexts(ctx context.Context, by disclosure.Caller, about disclosure.CaseID, ids []disclosure.CaseID) (list []CaseText, err error) {
	if !mayOpen(by) {
		return nil, disclosure.ErrForbidden
	}
	if len(ids) == 0 {
		return nil, nil
	}
	err = db.transact(ctx, by, func(t *tx) error {
		list = nil
		var read []int
		cases, err := t.loadCases(ctx, ids, false)
		if err != nil {
			return err
		}
		texts := map[disclosure.CaseID]*strings.Builder{}
		var seen []disclosure.CaseID
		for _, c := range cases {
			if c.VisibleTo(by) {
				texts[c.ID], seen = &strings.Builder{}, append(seen, c.ID)
			}
		}
		messages, err := t.messages(ctx, `m.case_id = ANY($1) AND m.state = 'in'`, seen)
		if err != nil {
			return err
		}
		for _, m := range messages {
			if b := texts[m.Case]; b.Len() < maxCaseText {
				b.WriteString(m.Text + "\n\n")
			}
		}
		for _, c := range cases {
			b := texts[c.ID]
			if b == nil {
				continue
			}
			b.WriteString(c.Public.Title + "\n" + c.Public.Summary + "\n" + c.Public.Description)
			people := []string{c.CVE}
			for _, r := range c.Reporters {
				people = append(people, r.Name, r.Address)
			}
			list = append(list, CaseText{Number: c.Number, Title: c.Title, Text: clip(b.String(), maxCaseText), People: strings.Join(people, "\n")})
			if c.ID != about {
				read = append(read, c.Number)
			}
		}
		if len(read) < len(list) {
			if err := t.opened(ctx, "thread.read", string(about)); err != nil {
				return err
			}
		}
		if len(read) > 0 {
			t.note("search.read", string(about), map[string][]int{"cases": read})
		}
		return nil
	})
	return list, err
}
