package pgtest_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"

	"postern/internal/postgres/embedded/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestClonesAreApart(t *testing.T) {
	prepared := 0
	prepare := func(owner string) error {
		prepared++
		conn, err := pgx.Connect(context.Background(), owner)
		if err != nil {
			return err
		}
		// Left open on purpose: a pool that closes late must not block the clones.
		_, err = conn.Exec(context.Background(), `CREATE TABLE thing (n int); GRANT SELECT, INSERT ON thing TO postern_desk`)
		return err
	}
	for i := range 5 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			owner, desk, gate := pgtest.Clone(t, "apart", prepare)
			ctx := context.Background()
			if _, err := connect(t, desk).Exec(ctx, `INSERT INTO thing VALUES (1)`); err != nil {
				t.Fatalf("insert as desk: %v", err)
			}
			var n int
			if err := connect(t, owner).QueryRow(ctx, `SELECT count(*) FROM thing`).Scan(&n); err != nil || n != 1 {
				t.Fatalf("count in the clone = %d, %v; want 1: rows of another clone?", n, err)
			}
			if _, err := connect(t, gate).Exec(ctx, `SELECT * FROM thing`); err == nil {
				t.Errorf("gate read the table; want permission denied")
			}
			if _, err := connect(t, gate).Exec(ctx, `CREATE TEMP TABLE x (n int)`); err == nil {
				t.Errorf("gate made a temporary table; want permission denied")
			}
			if _, err := connect(t, desk).Exec(ctx, `CREATE TABLE y (n int)`); err == nil {
				t.Errorf("desk made a table; want permission denied")
			}
		})
	}
	if prepared != 1 {
		t.Errorf("prepare ran %d times, want 1", prepared)
	}
}

func BenchmarkClone(b *testing.B) {
	prepare := func(string) error { return nil }
	for b.Loop() {
		pgtest.Clone(b, "bench", prepare)
	}
}
