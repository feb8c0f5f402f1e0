package postgres_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/postgres/postgrestest"
)

func TestLogIsAppendOnly(t *testing.T) {
	w := postgrestest.New(t)
	for _, sql := range []string{`UPDATE log SET actor = 'nobody'`, `DELETE FROM log`, `TRUNCATE log`, `DELETE FROM log_head`,
		`UPDATE event SET at = at`, `DELETE FROM event`, `DELETE FROM delivery_attempt`} {
		_, err := w.DB.Pool().Exec(ctx, sql)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("%s as the desk = %v, want permission denied", sql, err)
		}
	}
	if _, err := ownerConn(t, w).Exec(ctx, `UPDATE log SET actor = 'nobody'`); err == nil || !strings.Contains(err.Error(), "append-only") {
		t.Errorf("UPDATE log as the owner = %v, want the trigger's refusal", err)
	}
}

func TestVerifyLogNamesTheFirstBrokenRow(t *testing.T) {
	w := postgrestest.New(t)
	w.Case(t, "One")
	before, err := w.DB.VerifyLog(ctx)
	if err != nil || before.Broken != 0 || before.Rows < 6 {
		t.Fatalf("VerifyLog() = %+v, %v; want it whole", before, err)
	}
	owner := ownerConn(t, w)
	exec(t, owner, `ALTER TABLE log DISABLE TRIGGER log_append_only`)
	exec(t, owner, `CREATE TABLE kept AS SELECT * FROM log`)
	tests := []struct {
		name, sql string
		broken    int64
	}{
		{"whole", `SELECT 1`, 0},
		{"actor", `UPDATE log SET actor = 'nobody' WHERE n = 3`, 3},
		{"time", `UPDATE log SET at = at + interval '1 microsecond' WHERE n = 4`, 4},
		{"object", `UPDATE log SET object = 'x' WHERE n = 1`, 1},
		{"payload", `UPDATE log SET sealed = set_byte(sealed, 0, get_byte(sealed, 0) # 1) WHERE n = 4`, 4},
		{"member taken away", `UPDATE log SET member = NULL WHERE n = (SELECT max(n) FROM log WHERE member IS NOT NULL AND n < 6)`, -1},
		{"row missing", `DELETE FROM log WHERE n = 2`, 2},
		{"end missing", `DELETE FROM log WHERE n = (SELECT max(n) FROM log)`, -2},
		{"rehashed in part", `UPDATE log SET type = 'x', hash = sha256('x') WHERE n = 2`, 2},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			exec(t, owner, `DELETE FROM log`)
			exec(t, owner, `INSERT INTO log SELECT * FROM kept`)
			exec(t, owner, x.sql)
			got, err := w.DB.VerifyLog(ctx)
			if err != nil {
				t.Fatal(err)
			}
			switch x.broken {
			case -1:
				if got.Broken == 0 || got.Broken > 6 {
					t.Errorf("VerifyLog() = %+v, want a row before the sixth", got)
				}
			case -2:
				if got.Broken != before.Rows {
					t.Errorf("VerifyLog() = %+v, want row %d", got, before.Rows)
				}
			default:
				if got.Broken != x.broken {
					t.Errorf("VerifyLog() = %+v, want row %d", got, x.broken)
				}
			}
		})
	}
}

func TestLogUnderConcurrency(t *testing.T) {
	w := postgrestest.New(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 10 {
				if _, _, err := w.DB.CreateCase(ctx, w.Tri, postgres.CaseDraft{Title: "x"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if got, err := w.DB.VerifyLog(ctx); err != nil || got.Broken != 0 || got.Rows < 80 {
		t.Errorf("VerifyLog() = %+v, %v; want it whole", got, err)
	}
}

func TestReadsAreLoggedOnce(t *testing.T) {
	w := postgrestest.New(t)
	id, _ := w.Case(t, "One")
	for range 3 {
		if _, err := w.DB.Case(ctx, w.Tri, id); err != nil {
			t.Fatal(err)
		}
	}
	reads := func() int {
		rows, err := w.DB.Log(ctx, w.Aud, postgres.LogQuery{Object: string(id), Type: "case.read", Member: w.Tri.Member})
		if err != nil {
			t.Fatal(err)
		}
		return len(rows)
	}
	if got := reads(); got != 1 {
		t.Errorf("%d rows for three readings at once, want 1", got)
	}
	w.Advance(t, postgres.ReadsOnce)
	w.Advance(t, 1)
	if _, err := w.DB.Case(ctx, w.Tri, id); err != nil {
		t.Fatal(err)
	}
	if got := reads(); got != 2 {
		t.Errorf("%d rows after ten minutes, want 2", got)
	}
}

func TestLogWhileLocked(t *testing.T) {
	w := postgrestest.New(t)
	w.DB.Vault().Lock()
	if err := w.DB.SetRoles(ctx, w.Ada, w.Tri.Member, disclosure.Triager|disclosure.Releaser); err != nil {
		t.Fatal(err)
	}
	q := postgres.LogQuery{Type: "member.roles"}
	rows, err := w.DB.Log(ctx, w.Ada, q)
	if err != nil || len(rows) != 1 || rows[0].Details != "" {
		t.Fatalf("Log() while locked = %+v, %v; want one row without details", rows, err)
	}
	if _, err := w.DB.Vault().Unlock(postgrestest.Passphrase); err != nil {
		t.Fatal(err)
	}
	if rows, err = w.DB.Log(ctx, w.Ada, q); err != nil || rows[0].Details != `{"roles":["triager","releaser"]}` {
		t.Errorf("Log() = %+v, %v; want what was noted", rows, err)
	}
	if got, err := w.DB.VerifyLog(ctx); err != nil || got.Broken != 0 {
		t.Errorf("VerifyLog() = %+v, %v", got, err)
	}
	var n int
	for after := int64(0); ; n++ {
		page, err := w.DB.Log(ctx, w.Ada, postgres.LogQuery{Limit: 3, Before: after})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].N
	}
	if n == 0 {
		t.Error("no pages")
	}
}
