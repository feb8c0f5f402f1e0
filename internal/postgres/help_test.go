package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"postern/internal/postgres/postgrestest"
)

// ownerConn is a connection that may do everything, for damaging things.
func ownerConn(t *testing.T, w *postgrestest.World) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(ctx, w.OwnerURL)
	if err != nil {
		t.Fatalf("connect as the owner: %v", err)
	}
	t.Cleanup(func() { conn.Close(ctx) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
