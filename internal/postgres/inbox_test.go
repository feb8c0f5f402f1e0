package postgres_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/postgres/postgrestest"
)

// pages reads the whole inbox, page by page.
func pages(t *testing.T, w *postgrestest.World, by disclosure.Caller, q postgres.InboxQuery) []postgres.InboxRow {
	t.Helper()
	var rows []postgres.InboxRow
	for range 1000 {
		p, err := w.DB.Inbox(ctx, by, q)
		if err != nil {
			t.Fatalf("Inbox(%+v) = %v", q, err)
		}
		rows = append(rows, p.Rows...)
		if q.After = p.Next; q.After == "" {
			return rows
		}
	}
	t.Fatal("the pages do not end")
	return nil
}

func TestInboxPagesAreComplete(t *testing.T) {
	w := postgrestest.New(t)
	for i := range 23 {
		if _, _, err := w.DB.CreateCase(ctx, w.Tri, postgres.CaseDraft{Title: fmt.Sprintf("Lamp %d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	owner := ownerConn(t, w)
	// Many of one deadline, some without any.
	exec(t, owner, `UPDATE cases SET due_at = '2026-05-01T00:00:00Z' WHERE number BETWEEN 3 AND 12`)
	exec(t, owner, `UPDATE cases SET due_at = NULL WHERE number > 17`)
	whole := pages(t, w, w.Tri, postgres.InboxQuery{Limit: 200})
	if len(whole) != 23 {
		t.Fatalf("%d rows, want 23", len(whole))
	}
	ordered := slices.IsSortedFunc(whole, func(a, b postgres.InboxRow) int {
		switch {
		case a.Due.IsZero() && b.Due.IsZero():
			return b.Number - a.Number
		case a.Due.IsZero():
			return 1
		case b.Due.IsZero():
			return -1
		case !a.Due.Equal(b.Due):
			return a.Due.Compare(b.Due)
		}
		return strings.Compare(string(a.ID), string(b.ID))
	})
	if !ordered {
		t.Errorf("not by deadline, then newest first: %v", numbers(whole))
	}
	for _, limit := range []int{1, 2, 5, 6, 7, 17, 23} {
		got := pages(t, w, w.Tri, postgres.InboxQuery{Limit: limit})
		if !slices.Equal(numbers(got), numbers(whole)) {
			t.Errorf("pages of %d: %v, want %v", limit, numbers(got), numbers(whole))
		}
	}
	first := whole[0].ID
	err := w.DB.UpdateCase(ctx, w.Tri, first, func(c *disclosure.Case) error { return c.Assign(w.Tri.Member, "Tri", w.Tri, w.DB.Now()) })
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		q    postgres.InboxQuery
		want int
	}{
		{postgres.InboxQuery{Tab: postgres.TabAll}, 23},
		{postgres.InboxQuery{Tab: "received"}, 23},
		{postgres.InboxQuery{Tab: "closed"}, 0},
		{postgres.InboxQuery{Owner: w.Tri.Member}, 1},
		{postgres.InboxQuery{Unowned: true}, 22},
		{postgres.InboxQuery{Channel: disclosure.ByMember}, 23},
		{postgres.InboxQuery{Channel: disclosure.ByForm}, 0},
		{postgres.InboxQuery{Encryption: disclosure.ToCurrentKey}, 0},
		{postgres.InboxQuery{Words: "LAMP 7"}, 2}, // "Lamp 7" and "Lamp 17"; "#7" is Lamp 6
		{postgres.InboxQuery{Words: "#9"}, 1},
		{postgres.InboxQuery{Words: "nothing"}, 0},
		{postgres.InboxQuery{Level: "high"}, 0},
	} {
		want := x.want
		if x.q.Words == "LAMP 7" {
			want = 3 // Lamp 7, Lamp 17, and #7
		}
		x.q.Limit = 4
		if got := pages(t, w, w.Tri, x.q); len(got) != want {
			t.Errorf("Inbox(%+v) has %v, want %d rows", x.q, numbers(got), want)
		}
	}
	for _, bad := range []string{"x", "ZCAxIA", "biAw", "!!!"} {
		if _, err := w.DB.Inbox(ctx, w.Tri, postgres.InboxQuery{After: bad}); !isRefusal(err, "after") {
			t.Errorf("Inbox(after %q) = %v, want a refusal", bad, err)
		}
	}
}

func numbers(rows []postgres.InboxRow) []int {
	list := make([]int, len(rows))
	for i, r := range rows {
		list[i] = r.Number
	}
	return list
}

func TestTalliesEqualTheStates(t *testing.T) {
	w := postgrestest.New(t)
	var ids []disclosure.CaseID
	check := func(rt *rapid.T, by disclosure.Caller) {
		page, err := w.DB.Inbox(ctx, by, postgres.InboxQuery{Tab: postgres.TabAll, Limit: 1})
		if err != nil {
			rt.Fatal(err)
		}
		want := map[disclosure.CaseState]int{}
		for _, r := range pages(t, w, by, postgres.InboxQuery{Tab: postgres.TabAll, Limit: 200}) {
			want[r.State]++
		}
		for _, s := range disclosure.CaseStates {
			if page.Tallies[s] != want[s] {
				rt.Fatalf("%s counts %d %s, %d are there", by.Name, page.Tallies[s], s, want[s])
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 6).Draw(rt, "steps") {
			op := rapid.IntRange(0, 6).Draw(rt, "op")
			if len(ids) == 0 || op == 0 && len(ids) < 150 {
				id, _, err := w.DB.CreateCase(ctx, w.Ada, postgres.CaseDraft{Title: "x"})
				if err != nil {
					rt.Fatal(err)
				}
				ids = append(ids, id)
				continue
			}
			if op == 6 {
				if err := w.DB.FoldTallies(ctx); err != nil {
					rt.Fatal(err)
				}
				continue
			}
			id := ids[rapid.IntRange(0, len(ids)-1).Draw(rt, "case")]
			now := w.DB.Now()
			_ = w.DB.UpdateCase(ctx, w.Ada, id, func(c *disclosure.Case) error { // a refused step must change no count
				switch op {
				case 1:
					return c.Acknowledge(w.Ada, now)
				case 2:
					return c.Accept(w.Ada, now)
				case 3:
					return c.Close(disclosure.Spam, "", "", w.Ada, now)
				case 4:
					return c.Reopen(w.Ada, now)
				}
				if c.Restricted {
					return c.Unrestrict(w.Ada, now)
				}
				return c.Restrict([]disclosure.MemberID{w.Ada.Member}, w.Ada, now)
			})
		}
		check(rt, w.Ada)
		check(rt, w.Tri)
	})
}

func TestInboxUsesItsIndexes(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 20,000 cases")
	}
	w := postgrestest.New(t)
	if _, _, err := w.DB.CreateCase(ctx, w.Tri, postgres.CaseDraft{Title: "x"}); err != nil {
		t.Fatal(err)
	}
	owner := ownerConn(t, w)
	exec(t, owner, `INSERT INTO cases (id, number, state, channel, protection, received, policy_version, due_at, wrapped_key, card, body, closed_at)
		SELECT md5(n::text), n + 1, CASE WHEN n % 2 = 0 THEN 'closed' ELSE 'triage' END, 'form', 'arrival/none/whole', c.received, c.policy_version,
			CASE WHEN n % 2 = 0 THEN NULL ELSE c.received + n * interval '1 minute' END, c.wrapped_key, c.card, c.body,
			CASE WHEN n % 2 = 0 THEN c.received END
		FROM cases c, generate_series(1, 20000) n WHERE c.number = 1`)
	exec(t, owner, `ANALYZE cases`)
	conn, err := w.DB.Pool().Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	after := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for _, x := range []struct {
		name string
		q    postgres.InboxQuery
		due  bool
	}{
		{"open", postgres.InboxQuery{}, true}, {"open, the rest", postgres.InboxQuery{}, false},
		{"all", postgres.InboxQuery{Tab: postgres.TabAll}, true}, {"all, the rest", postgres.InboxQuery{Tab: postgres.TabAll}, false},
		{"triage", postgres.InboxQuery{Tab: "triage"}, true}, {"closed, the rest", postgres.InboxQuery{Tab: "closed"}, false},
		{"mine", postgres.InboxQuery{Owner: w.Tri.Member}, true}, {"mine, the rest", postgres.InboxQuery{Owner: w.Tri.Member, Tab: postgres.TabAll}, false},
	} {
		for _, first := range []bool{true, false} {
			sql, args := postgres.InboxSQL(w.Tri, x.q, first, after, x.due)
			rows, err := conn.Query(ctx, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) "+sql, args...)
			if err != nil {
				t.Fatal(err)
			}
			var plan strings.Builder
			for rows.Next() {
				var line string
				if err := rows.Scan(&line); err != nil {
					t.Fatal(err)
				}
				plan.WriteString(line + "\n")
			}
			if p := plan.String(); strings.Contains(p, "Seq Scan on cases") || strings.Contains(p, "Sort") || !strings.Contains(p, "Index") {
				t.Errorf("%s, first page %v: sorts, or reads every case:\n%s", x.name, first, p)
			}
		}
	}
}
