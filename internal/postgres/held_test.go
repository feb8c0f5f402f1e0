package postgres_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres/postgrestest"
)

func TestWhatHolds(t *testing.T) {
	tests := []struct {
		name string
		sql  string
		mark int64
		wall time.Duration
		want string // in a reason; empty: not held
	}{
		{"nothing", `SELECT 1`, 0, 0, ""},
		{"another cluster", `UPDATE instance SET system_identifier = '1'`, 0, 0, "another cluster"},
		{"another timeline", `UPDATE instance SET timeline = timeline + 1`, 0, 0, "timeline"},
		{"behind the mark", `UPDATE instance SET journal = 4`, 5, 0, "behind"},
		{"at the mark", `UPDATE instance SET journal = 5`, 5, 0, ""},
		{"time went back", `UPDATE instance SET last_seen = last_seen + interval '1 hour'`, 0, 0, "went back"},
		{"time ahead of the database", `SELECT 1`, 0, 6 * time.Minute, "differ"},
		{"a little ahead", `SELECT 1`, 0, 4 * time.Minute, ""},
	}
	w := postgrestest.New(t)
	w.Advance(t, 90*24*time.Hour) // moved time is not compared
	owner := ownerConn(t, w)
	exec(t, owner, `CREATE TABLE kept AS SELECT * FROM instance`)
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			exec(t, owner, `DELETE FROM alert`)
			exec(t, owner, `DELETE FROM instance`)
			exec(t, owner, `INSERT INTO instance SELECT * FROM kept`)
			exec(t, owner, x.sql)
			w.AdvanceWall(x.wall)
			defer w.AdvanceWall(-x.wall)
			held, err := w.DB.CheckHeld(ctx, x.mark)
			if err != nil {
				t.Fatal(err)
			}
			if x.want == "" {
				if !held.Since.IsZero() {
					t.Errorf("CheckHeld() = %+v, want not held", held)
				}
				return
			}
			if held.Since.IsZero() || len(held.Because) != 1 || !strings.Contains(held.Because[0], x.want) {
				t.Fatalf("CheckHeld() = %+v, want held: %s", held, x.want)
			}
			if again, err := w.DB.CheckHeld(ctx, x.mark); err != nil || len(again.Because) != 1 || !again.Since.Equal(held.Since) {
				t.Errorf("CheckHeld() again = %+v, %v; want the same", again, err)
			}
			if due, err := w.DB.DueAlerts(ctx, 10); err != nil || len(due) != 4 || due[0].Kind != disclosure.AlertHeld {
				t.Errorf("DueAlerts() = %+v, %v; want every member told once", due, err)
			}
		})
	}
}

func TestLettingGo(t *testing.T) {
	w := postgrestest.New(t)
	if err := w.DB.LetGo(ctx, w.Rel); !isRefusal(err, "") {
		t.Errorf("LetGo() of what is not held = %v, want a refusal", err)
	}
	exec(t, ownerConn(t, w), `UPDATE instance SET system_identifier = '1'`)
	if held, err := w.DB.CheckHeld(ctx, 0); err != nil || held.Since.IsZero() {
		t.Fatal(held, err)
	}
	stale := w.Rel
	stale.Verified = time.Time{}
	if err := w.DB.LetGo(ctx, stale); !errors.Is(err, disclosure.ErrStepUp) {
		t.Errorf("LetGo() without step-up = %v, want ErrStepUp", err)
	}
	if err := w.DB.LetGo(ctx, w.Rel); err != nil {
		t.Fatal(err)
	}
	if held, err := w.DB.CheckHeld(ctx, 0); err != nil || !held.Since.IsZero() {
		t.Errorf("CheckHeld() afterwards = %+v, %v; want the cluster accepted", held, err)
	}
}

func TestBeats(t *testing.T) {
	w := postgrestest.New(t)
	mark := int64(0)
	for range 3 {
		next, err := w.DB.Beat(ctx, mark)
		if err != nil || next <= mark {
			t.Fatalf("Beat(%d) = %d, %v; want it raised", mark, next, err)
		}
		mark = next
	}
	if held, err := w.DB.Held(ctx); err != nil || !held.Since.IsZero() {
		t.Fatalf("Held() = %+v, %v", held, err)
	}
	exec(t, ownerConn(t, w), `UPDATE instance SET journal = 1`) // an older copy
	if _, err := w.DB.Beat(ctx, mark); err != nil {
		t.Fatal(err)
	}
	if held, err := w.DB.Held(ctx); err != nil || held.Since.IsZero() {
		t.Errorf("Held() over an older copy = %+v, %v; want held", held, err)
	}
}

func TestOnlyTheDemosTimeMoves(t *testing.T) {
	w := postgrestest.New(t)
	before := w.DB.Now()
	w.Advance(t, 7*24*time.Hour)
	if d := w.DB.Now().Sub(before); d < 7*24*time.Hour || d > 7*24*time.Hour+time.Minute {
		t.Errorf("time moved by %v, want a week", d)
	}
	other := w.Open(t, nil)
	if d := other.Now().Sub(w.DB.Now()).Abs(); d > time.Minute {
		t.Errorf("another process is %v away", d)
	}
	if err := w.DB.MoveTime(ctx, w.Ada, -time.Hour); !isRefusal(err, "by") {
		t.Errorf("MoveTime() back = %v, want a refusal", err)
	}
	exec(t, ownerConn(t, w), `UPDATE instance SET demo = false`)
	if err := w.DB.MoveTime(ctx, w.Ada, time.Hour); !isRefusal(err, "by") {
		t.Errorf("MoveTime() of a real instance = %v, want a refusal", err)
	}
}

func TestTimeThatJumpedHolds(t *testing.T) {
	w := postgrestest.New(t)
	held := func() bool {
		t.Helper()
		if _, err := w.DB.Beat(ctx, 0); err != nil {
			t.Fatal(err)
		}
		h, err := w.DB.Held(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return !h.Since.IsZero()
	}
	w.Advance(t, 24*time.Hour) // moved time is no jump
	for _, d := range []time.Duration{0, 4 * time.Minute, 4 * time.Minute} {
		w.AdvanceWall(d)
		if held() {
			t.Fatalf("held after wall time went %v further", d)
		}
	}
	w.AdvanceWall(6 * time.Minute)
	if !held() {
		t.Error("not held after wall time jumped six minutes between two beats")
	}
}
