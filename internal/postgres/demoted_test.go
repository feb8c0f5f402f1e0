package postgres_test

import (
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres/postgrestest"
)

// TestDemotedAdminHearsOfNoApplication: not even of what was queued before.
func TestDemotedAdminHearsOfNoApplication(t *testing.T) {
	w := postgrestest.New(t)
	queue := func() {
		t.Helper()
		_, err := w.DB.Pool().Exec(t.Context(), `INSERT INTO alert (id, member, kind, ref, made, next_at, message_id)
			VALUES ($1, $2, 'new-application', '/applications/1', $3, $3, $1)`, disclosure.NewID(), w.Tri.Member, w.DB.Now().Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
	}
	queue()
	list, err := w.DB.DueAlerts(t.Context(), 10)
	if err != nil || len(list) != 0 {
		t.Errorf("DueAlerts = %d alerts of an application to who is no admin, %v; want none", len(list), err)
	}
	if err := w.DB.SetRoles(t.Context(), w.Ada, w.Tri.Member, disclosure.Triager); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := w.DB.Pool().QueryRow(t.Context(), `SELECT count(*) FROM alert WHERE ref = '/applications/1' AND next_at IS NOT NULL`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d alerts are queued still, %v; want none", left, err)
	}
}
