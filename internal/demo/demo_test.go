package demo

import (
	"context"
	"errors"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/gate"
	"postern/internal/letters"
	"postern/internal/policy"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/postgres/gatedb"
	"postern/internal/postgres/postgrestest"
	"postern/internal/smtp"
	"postern/internal/work"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// start is one start of the demo, as the instance does it.
func start(t *testing.T, desk, gateURL, data string, said *[]string) (*Sample, *postgres.DB, error) {
	t.Helper()
	ctx := t.Context()
	say := func(line string) { *said = append(*said, line) }
	db, err := postgres.Open(ctx, postgres.Config{URL: desk})
	if err != nil {
		t.Fatalf("open the database: %v", err)
	}
	t.Cleanup(db.Close)
	db.SetPolicyParser(policy.Parse)
	s, err := Prepare(ctx, PrepareConfig{DB: db, Data: data, Progress: say})
	if err != nil {
		return nil, db, err
	}
	gdb, err := gatedb.Open(ctx, gateURL)
	if err != nil {
		t.Fatalf("open the gate's database: %v", err)
	}
	t.Cleanup(gdb.Close)
	l, err := letters.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	url := "http://" + server.Listener.Addr().String()
	g := gate.New(gate.Config{DB: gdb, URL: url, Spool: filepath.Join(data, "spool"), Version: "test", Schema: postgres.KnownSchema(), Now: db.Now, Demo: true})
	server.Config.Handler = g
	server.Start()
	t.Cleanup(server.Close)
	run, stop := context.WithCancel(ctx)
	t.Cleanup(stop)
	_ = g.Start(run) // there is no set yet; it goes on trying
	box, err := smtp.NewOutbox(filepath.Join(data, "outbox"))
	if err != nil {
		t.Fatal(err)
	}
	w := work.New(work.Config{DB: db, Sender: box, Letters: l, DeskURL: "http://desk.example", GateURL: url, Version: "test", Data: data, Demo: true})
	s, err = Fill(ctx, Config{DB: db, Work: w, Letters: l, Sample: s, Gate: url, Desk: "http://desk.example", Progress: say})
	return s, db, err
}

func TestFill(t *testing.T) {
	ctx := t.Context()
	_, desk, gateURL := pgtest.Clone(t, "postern", func(owner string) error { _, err := postgres.Migrate(ctx, owner); return err })
	data := t.TempDir()
	var said []string
	began := time.Now()
	s, db, err := start(t, desk, gateURL, data, &said)
	if err != nil {
		t.Fatalf("Fill: %v\nsaid: %q", err, said)
	}
	t.Logf("filled in %v; said %q", time.Since(began), said)
	if info, err := os.Stat(s.File()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("demo.json: %v, %v; want mode 0600", info, err)
	}
	if d := db.Wall().Sub(db.Now()); d > time.Second || d < -time.Second {
		t.Errorf("after Fill the program's time differs from wall time by %v", d)
	}

	ada := s.caller(db, "Ada")
	page, err := db.Inbox(ctx, ada, postgres.InboxQuery{Tab: postgres.TabAll, Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	states, attention, restricted, known := map[disclosure.CaseState]int{}, 0, 0, 0
	for _, r := range page.Rows {
		states[r.State]++
		if r.Attention != "" {
			attention++
		}
		if r.Restricted {
			restricted++
		}
		if r.Protection.Encryption == disclosure.ToCurrentKey {
			known++
		}
	}
	for _, want := range disclosure.CaseStates {
		if states[want] == 0 {
			t.Errorf("no case is %s; states: %v", want, states)
		}
	}
	if attention == 0 || restricted == 0 || known == 0 {
		t.Errorf("cases that need attention %d, restricted %d, encrypted %d; want one of each at least", attention, restricted, known)
	}
	releases, err := db.Releases(ctx, ada)
	if err != nil {
		t.Fatal(err)
	}
	got := map[disclosure.ReleaseState]bool{}
	for _, r := range releases {
		got[r.State] = true
	}
	for _, want := range []disclosure.ReleaseState{disclosure.Draft, disclosure.Scheduled, disclosure.Notified, disclosure.Published, disclosure.CalledOff} {
		if !got[want] {
			t.Errorf("no release is %s; states: %v", want, slices.Collect(maps.Keys(got)))
		}
	}
	if held, err := db.Held(ctx); err != nil || !held.Since.IsZero() {
		t.Errorf("after Fill the instance is held: %+v, %v", held, err)
	}
	if check, err := db.VerifyLog(ctx); err != nil || check.Broken != 0 {
		t.Errorf("the log of the demo: %+v, %v", check, err)
	}
	advisories, err := db.Advisories(ctx)
	if err != nil || len(advisories) != 2 {
		t.Errorf("advisories: %d, %v; want 2", len(advisories), err)
	}

	rows := page.Tallies
	db.Close()
	said = nil
	again, db, err := start(t, desk, gateURL, data, &said)
	if err != nil {
		t.Fatalf("second start: %v", err)
	}
	if len(said) == 0 || !strings.HasPrefix(said[0], "Kept from the last start") {
		t.Errorf("second start said %q; want what it kept", said)
	}
	page, err = db.Inbox(ctx, again.caller(db, "Ada"), postgres.InboxQuery{Tab: postgres.TabAll, Limit: 200})
	if err != nil || !maps.Equal(page.Tallies, rows) {
		t.Errorf("tallies after the second start: %v, %v; want %v", page.Tallies, err, rows)
	}
}

// A start that is interrupted anywhere goes on where it was.
func TestInterrupted(t *testing.T) {
	ctx := t.Context()
	_, desk, gateURL := pgtest.Clone(t, "postern", func(owner string) error { _, err := postgres.Migrate(ctx, owner); return err })
	data := t.TempDir()
	var said []string
	s, db, err := start(t, desk, gateURL, data, &said)
	if err != nil {
		t.Fatalf("Fill: %v", err)
	}
	db.Close()
	want := len(s.IDs)
	// As if the program had ended between the last report and its note.
	s.Filled = false
	s.Done = s.Done[:len(s.Done)-1]
	delete(s.IDs, "case newest")
	s.Reports = s.Reports[:len(s.Reports)-1]
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	s, _, err = start(t, desk, gateURL, data, &said)
	if err != nil {
		t.Fatalf("Fill after an interruption: %v", err)
	}
	if len(s.IDs) != want || !s.Filled {
		t.Errorf("after going on: %d ids, filled %v; want %d, true", len(s.IDs), s.Filled, want)
	}
}

func TestRefusesAnothersDatabase(t *testing.T) {
	w := postgrestest.New(t) // a test's instance: made without a demo.json
	var said []string
	_, _, err := start(t, w.DeskURL, w.GateURL, t.TempDir(), &said)
	if !errors.Is(err, ErrNotOurs) {
		t.Errorf("Prepare on another instance's database: %v; want ErrNotOurs", err)
	}
}
