package doctor_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/doctor"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/postgres/postgrestest"
	"postern/internal/smtp"
	"postern/internal/vault"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// TestFindings breaks one thing after the other and looks whether it is named,
// with its severity and something to do.
func TestFindings(t *testing.T) {
	w := postgrestest.New(t)
	ctx := t.Context()
	key, _, err := pgp.NewTeam("Lantern security team", "security@lantern.example", w.DB.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert := key.Certificate()
	if err := w.DB.StoreTeamKey(ctx, disclosure.System("init"), cert.Fingerprint(), cert.Binary(), key.Bytes()); err != nil {
		t.Fatal(err)
	}
	sink, err := smtp.NewSink(smtp.SinkConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	relay, err := smtp.NewRelay(smtp.RelayConfig{URL: sink.URL()})
	if err != nil {
		t.Fatal(err)
	}
	good := doctor.Facts{DB: w.DB, Relay: relay, Data: t.TempDir(), GateURL: "https://gate.example", DeskURL: "https://desk.example", Now: w.DB.Now}
	unlock := func() {
		if _, err := w.DB.Vault().Unlock(postgrestest.Passphrase); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*doctor.Facts)
		want   doctor.Severity
		says   string
	}{
		{"two secrets", func(*doctor.Facts) {}, doctor.OK, "2 secrets open the vault"},
		{"signing key", func(*doctor.Facts) {}, doctor.OK, "signing key"},
		{"relay", func(*doctor.Facts) {}, doctor.OK, "takes us"},
		{"no security.txt", func(*doctor.Facts) {}, doctor.Warn, "no security.txt"},
		{"no database", func(f *doctor.Facts) { f.DB, f.DBError = nil, errors.New("connection refused") }, doctor.Fail, "connection refused"},
		{"old schema", func(f *doctor.Facts) { f.DB, f.DBError = nil, fmt.Errorf("%w: it is at step 0", postgres.ErrSchema) }, doctor.Fail, "step 0"},
		{"key runs out", func(f *doctor.Facts) { f.Now = func() time.Time { return w.DB.Now().AddDate(1, 0, 0) } }, doctor.Warn, "encryption key"},
		{"key ran out", func(f *doctor.Facts) { f.Now = func() time.Time { return w.DB.Now().AddDate(2, 0, 0) } }, doctor.Fail, "no signing key that can be used"},
		{"outbox", func(f *doctor.Facts) { f.Relay = nil; f.Outbox, _ = smtp.NewOutbox(f.Data) }, doctor.Warn, "kept in the outbox"},
		{"no TLS", func(f *doctor.Facts) { f.DeskURL = "http://desk.example" }, doctor.Fail, "address http://desk.example is without TLS"},
		{"loopback", func(f *doctor.Facts) { f.GateURL = "http://127.0.0.1:8080" }, doctor.Warn, "gate's address http://127.0.0.1:8080 is of this machine alone"},
		{"locked", func(*doctor.Facts) { w.DB.Vault().Lock() }, doctor.Warn, "The vault is locked"},
		{"relay gone", func(*doctor.Facts) { sink.Close() }, doctor.Fail, "does not take us"},
		{"one secret", func(*doctor.Facts) {
			slots, err := w.DB.Slots(ctx, w.Ada)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range slots {
				if s.Kind != vault.SlotRecovery {
					continue
				}
				if err := w.DB.RemoveSlot(ctx, w.Ada, s.ID); err != nil {
					t.Fatal(err)
				}
			}
		}, doctor.Warn, "Only one secret"},
		{"held", func(*doctor.Facts) {
			if err := w.DB.Hold(ctx, w.Ada, "Somebody wants to look."); err != nil {
				t.Fatal(err)
			}
		}, doctor.Fail, "Somebody wants to look"},
	} {
		f := good
		tt.change(&f)
		list := doctor.Run(ctx, f)
		found := false
		for _, x := range list {
			if strings.Contains(x.What, tt.says) {
				found = true
				if x.Severity != tt.want {
					t.Errorf("%s: %q is %s, want %s", tt.name, x.What, x.Severity, tt.want)
				}
			}
			if x.Severity != doctor.OK && (x.Why == "" || x.Mend == "") {
				t.Errorf("%s: %q does not say why or what to do", tt.name, x.What)
			}
			if strings.Contains(x.What, "canary") {
				t.Errorf("%s: a secret is in %q", tt.name, x.What)
			}
		}
		if !found {
			t.Errorf("%s: nothing says %q in %+v", tt.name, tt.says, list)
		}
		unlock()
	}
}

func TestExitCode(t *testing.T) {
	for want, list := range [][]doctor.Finding{
		{{Severity: doctor.OK}}, {{Severity: doctor.OK}, {Severity: doctor.Warn}}, {{Severity: doctor.Fail}, {Severity: doctor.Warn}},
	} {
		if got := doctor.ExitCode(list); got != want {
			t.Errorf("ExitCode(%v) = %d, want %d", list, got, want)
		}
	}
}
