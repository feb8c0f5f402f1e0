package postgres_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/postgres"
	"postern/internal/postgres/postgrestest"
	"postern/internal/vault"
)

func hashOf(s string) []byte { h := sha256.Sum256([]byte(s)); return h[:] }

func TestInvitationIsTakenOnce(t *testing.T) {
	w := postgrestest.New(t)
	until := w.DB.Wall().Add(time.Hour)
	id, err := w.DB.Invite(ctx, w.Ada, " Kim ", "Kim@Example.org", disclosure.Triager, hashOf("kim"), until)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Invite(ctx, w.Ada, "Kim", "kim@example.org", disclosure.Triager, hashOf("other"), until); !isRefusal(err, "login") {
		t.Errorf("Invite() of an address that is taken = %v, want a refusal", err)
	}
	if _, err := w.DB.ByLogin(ctx, "kim@example.org"); !errors.Is(err, disclosure.ErrNotFound) {
		t.Errorf("ByLogin() before joining = %v, want ErrNotFound", err)
	}
	m, err := w.DB.AcceptInvite(ctx, hashOf("kim"), "phc", []byte("secret"), 7)
	if err != nil || m.ID != id || m.Name != "Kim" || m.Login != "kim@example.org" {
		t.Fatalf("AcceptInvite() = %+v, %v", m, err)
	}
	if _, err := w.DB.AcceptInvite(ctx, hashOf("kim"), "phc", []byte("secret"), 8); !errors.Is(err, disclosure.ErrNotFound) {
		t.Errorf("AcceptInvite() again = %v, want ErrNotFound", err)
	}
	in, err := w.DB.ByLogin(ctx, " KIM@example.org")
	if err != nil || in.Password != "phc" || string(in.TOTP) != "secret" || in.Step != 7 {
		t.Errorf("ByLogin() = %s %d, %v", in.TOTP, in.Step, err)
	}
	if s := fmt.Sprintf("%v %+v", in, in); strings.Contains(s, "secret") || strings.Contains(s, "phc") {
		t.Errorf("a sign-in prints its secrets: %s", s)
	}
	if _, err := w.DB.Invite(ctx, w.Ada, "Late", "late@example.org", disclosure.Triager, hashOf("late"), w.DB.Wall().Add(-time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Invited(ctx, hashOf("late")); !errors.Is(err, disclosure.ErrNotFound) {
		t.Errorf("Invited() past its time = %v, want ErrNotFound", err)
	}
}

func isRefusal(err error, field string) bool {
	var r *disclosure.Refusal
	return errors.As(err, &r) && slices.ContainsFunc(r.Faults, func(f disclosure.Fault) bool { return f.Field == field })
}

func TestTheLastAdminStays(t *testing.T) {
	w := postgrestest.New(t)
	if err := w.DB.SetRoles(ctx, w.Ada, w.Ada.Member, disclosure.Triager); !isRefusal(err, "roles") {
		t.Errorf("SetRoles() of the last admin = %v, want a refusal", err)
	}
	if err := w.DB.Disable(ctx, w.Ada, w.Ada.Member); !isRefusal(err, "roles") {
		t.Errorf("Disable() of the last admin = %v, want a refusal", err)
	}
	bob := w.Member(t, "Bob", disclosure.Admin)
	// Each takes the other's admin away at once: one of them must fail.
	var all sync.WaitGroup
	var failed atomic.Int32
	for _, x := range [][2]disclosure.Caller{{w.Ada, bob}, {bob, w.Ada}} {
		all.Go(func() {
			if err := w.DB.Disable(ctx, x[0], x[1].Member); err != nil {
				failed.Add(1)
			}
		})
	}
	all.Wait()
	if failed.Load() != 1 {
		t.Errorf("%d of two failed, want one", failed.Load())
	}
}

func TestSessions(t *testing.T) {
	w := postgrestest.New(t)
	if err := w.DB.NewSession(ctx, w.Tri.Member, 100, hashOf("cookie"), "Firefox"); err != nil {
		t.Fatal(err)
	}
	if err := w.DB.NewSession(ctx, w.Tri.Member, 100, hashOf("again"), "Firefox"); !errors.Is(err, postgres.ErrUsedCode) {
		t.Errorf("NewSession() with a used code = %v, want ErrUsedCode", err)
	}
	s, err := w.DB.Session(ctx, hashOf("cookie"))
	if err != nil || s.Caller.Member != w.Tri.Member || s.Caller.Roles != disclosure.Triager || !s.Caller.SteppedUp(w.DB.Wall()) {
		t.Fatalf("Session() = %+v, %v", s, err)
	}
	w.AdvanceWall(11 * time.Hour)
	if s, err = w.DB.Session(ctx, hashOf("cookie")); err != nil || s.Caller.SteppedUp(w.DB.Wall()) {
		t.Fatalf("Session() after 11 hours = %+v, %v; want it, without step-up", s, err)
	}
	if err := w.DB.Verified(ctx, hashOf("cookie"), 101); err != nil {
		t.Fatal(err)
	}
	if s, _ = w.DB.Session(ctx, hashOf("cookie")); !s.Caller.SteppedUp(w.DB.Wall()) {
		t.Error("no step-up after Verified()")
	}
	w.AdvanceWall(11 * time.Hour) // 22 hours old, 11 idle
	if _, err := w.DB.Session(ctx, hashOf("cookie")); err != nil {
		t.Errorf("Session() used within 12 hours = %v", err)
	}
	w.Advance(t, 30*24*time.Hour) // the demo's time is not theirs
	if _, err := w.DB.Session(ctx, hashOf("cookie")); err != nil {
		t.Errorf("Session() after moved time = %v", err)
	}
	w.AdvanceWall(13 * time.Hour)
	if _, err := w.DB.Session(ctx, hashOf("cookie")); !errors.Is(err, disclosure.ErrNotFound) {
		t.Errorf("Session() idle for 13 hours = %v, want ErrNotFound", err)
	}
	for i := range 2 {
		if err := w.DB.NewSession(ctx, w.Tri.Member, int64(200+i), hashOf(fmt.Sprint("s", i)), ""); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := w.DB.Sessions(ctx, w.Tri); err != nil || len(list) != 2 {
		t.Errorf("Sessions() = %d, %v; want two", len(list), err)
	}
	if err := w.DB.EndOwnSession(ctx, w.Rel, hashOf("s0")); !errors.Is(err, disclosure.ErrNotFound) {
		t.Errorf("EndOwnSession() of another's = %v, want ErrNotFound", err)
	}
	w.Ada.Verified = w.DB.Wall() // hours have gone by
	if err := w.DB.Disable(ctx, w.Ada, w.Tri.Member); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.Session(ctx, hashOf("s0")); !errors.Is(err, disclosure.ErrNotFound) {
		t.Errorf("Session() of a disabled member = %v, want ErrNotFound", err)
	}
	if err := w.DB.SweepSessions(ctx); err != nil {
		t.Error(err)
	}
}

func TestOldSessionsEnd(t *testing.T) {
	w := postgrestest.New(t)
	if err := w.DB.NewSession(ctx, w.Tri.Member, 100, hashOf("c"), ""); err != nil {
		t.Fatal(err)
	}
	for range 16 {
		w.AdvanceWall(10 * time.Hour)
		if _, err := w.DB.Session(ctx, hashOf("c")); err != nil {
			t.Fatal(err)
		}
	}
	w.AdvanceWall(10 * time.Hour) // 170 hours
	if _, err := w.DB.Session(ctx, hashOf("c")); !errors.Is(err, disclosure.ErrNotFound) {
		t.Errorf("Session() of seven days = %v, want ErrNotFound", err)
	}
}

func TestACodeWorksOnceAtOnce(t *testing.T) {
	w := postgrestest.New(t)
	var all sync.WaitGroup
	var in atomic.Int32
	for i := range 8 {
		all.Go(func() {
			if err := w.DB.NewSession(ctx, w.Tri.Member, 500, hashOf(fmt.Sprint(i)), ""); err == nil {
				in.Add(1)
			} else if !errors.Is(err, postgres.ErrUsedCode) {
				t.Errorf("NewSession() = %v", err)
			}
		})
	}
	all.Wait()
	if in.Load() != 1 {
		t.Errorf("%d signed in with one code, want 1", in.Load())
	}
}

func TestAttempts(t *testing.T) {
	w := postgrestest.New(t)
	key := hashOf("somebody")
	for i := range 5 {
		if wait, err := w.DB.Attempt(ctx, key); wait != 0 || err != nil {
			t.Fatalf("Attempt() %d = %v, %v; want none", i, wait, err)
		}
	}
	if wait, err := w.DB.Attempt(ctx, key); wait <= 0 || wait > 30*time.Second || err != nil {
		t.Fatalf("Attempt() after five = %v, %v; want up to 30 s", wait, err)
	}
	w.AdvanceWall(31 * time.Second)
	if wait, err := w.DB.Attempt(ctx, key); wait != 0 || err != nil {
		t.Fatalf("Attempt() after the wait = %v, %v", wait, err)
	}
	if wait, _ := w.DB.Attempt(ctx, key); wait <= 30*time.Second {
		t.Errorf("the second wait is %v, want it doubled", wait)
	}
	if err := w.DB.AttemptSucceeded(ctx, key); err != nil {
		t.Fatal(err)
	}
	if wait, _ := w.DB.Attempt(ctx, key); wait != 0 {
		t.Errorf("Attempt() after success waits %v", wait)
	}
}

func TestOwnSettings(t *testing.T) {
	w := postgrestest.New(t)
	for name, err := range map[string]error{
		"zone":   w.DB.SetZone(ctx, w.Tri, "Moon/Crater"),
		"alerts": w.DB.SetAlerts(ctx, w.Tri, []disclosure.AlertKind{"weather"}),
	} {
		if !isRefusal(err, name) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	steps := []error{
		w.DB.SetZone(ctx, w.Tri, "Europe/Berlin"), w.DB.SetAlerts(ctx, w.Tri, nil), w.DB.SetCertificate(ctx, w.Tri, []byte("cert")),
		w.DB.SetPassword(ctx, w.Tri, "new phc"), w.DB.AddSigningKey(ctx, w.Ada, w.Tri.Member, []byte("a")),
		w.DB.AddSigningKey(ctx, w.Ada, w.Tri.Member, []byte("b")), w.DB.AddSigningKey(ctx, w.Ada, w.Tri.Member, []byte("b")),
		w.DB.RemoveSigningKey(ctx, w.Ada, w.Tri.Member, []byte("a")),
	}
	if err := errors.Join(steps...); err != nil {
		t.Fatal(err)
	}
	m, err := w.DB.Member(ctx, w.Aud, w.Tri.Member)
	if err != nil || m.Zone != "Europe/Berlin" || len(m.Alerts) != 0 || string(m.Certificate) != "cert" || len(m.SigningKeys) != 1 || string(m.SigningKeys[0]) != "b" {
		t.Errorf("Member() = %+v, %v", m, err)
	}
	if _, err := w.DB.ByLogin(ctx, m.Login); err != nil {
		t.Error(err)
	}
	if err := w.DB.ResetMember(ctx, w.Ada, w.Tri.Member, hashOf("new"), w.DB.Wall().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.DB.ByLogin(ctx, m.Login); !errors.Is(err, disclosure.ErrNotFound) {
		t.Errorf("ByLogin() after a reset = %v, want ErrNotFound", err)
	}
	if _, err := w.DB.AcceptInvite(ctx, hashOf("new"), "p", []byte("t"), 1); err != nil {
		t.Error(err)
	}
}

func TestKeysAndSlots(t *testing.T) {
	w := postgrestest.New(t)
	if err := w.DB.StoreTeamKey(ctx, w.Ada, "AAAA", []byte("cert a"), []byte("secret a")); err != nil {
		t.Fatal(err)
	}
	w.Advance(t, time.Hour)
	if err := w.DB.StoreTeamKey(ctx, w.Ada, "BBBB", []byte("cert b"), []byte("secret b")); err != nil {
		t.Fatal(err)
	}
	if err := w.DB.StoreTeamKey(ctx, w.Ada, "BBBB", []byte("cert b2"), []byte("secret b2")); err != nil {
		t.Fatal(err)
	}
	keys, err := w.DB.TeamKeys(ctx, work)
	if err != nil || len(keys) != 2 || keys[0].Fingerprint != "BBBB" || string(keys[0].Secret) != "secret b2" || !keys[0].Retired.IsZero() || keys[1].Retired.IsZero() {
		t.Fatalf("TeamKeys() = %v, %v; want the renewed one first, the other retired", keys, err)
	}
	if s := fmt.Sprintf("%+v", keys); strings.Contains(s, "secret") {
		t.Errorf("a team key prints its secret: %s", s)
	}
	if _, err := w.DB.TeamKeys(ctx, w.Aud); !errors.Is(err, disclosure.ErrForbidden) {
		t.Errorf("TeamKeys() of an auditor = %v, want ErrForbidden", err)
	}
	w.DB.Vault().Lock()
	if _, err := w.DB.TeamKeys(ctx, work); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("TeamKeys() while locked = %v", err)
	}
	if public, err := w.DB.PublicKeys(ctx); err != nil || len(public) != 3 {
		t.Errorf("PublicKeys() while locked = %d, %v; want three", len(public), err)
	}
	if _, err := w.DB.Vault().Unlock(postgrestest.Passphrase); err != nil {
		t.Fatal(err)
	}
	if err := w.DB.RetireTeamKey(ctx, w.Ada, "BBBB"); err != nil {
		t.Error(err)
	}
	slots, err := w.DB.Slots(ctx, w.Ada)
	if err != nil || len(slots) != 2 {
		t.Fatalf("Slots() = %d, %v", len(slots), err)
	}
	s, err := w.DB.AddSlot(ctx, w.Ada, vault.SlotPassphrase, postgres.Holder{Label: "Bob"}, "another passphrase", vault.TestCost)
	if err != nil {
		t.Fatal(err)
	}
	other := w.Open(t, nil) // another process
	if _, err := other.Vault().Unlock("another passphrase"); err != nil {
		t.Errorf("Unlock() by the new slot in another process: %v", err)
	}
	for _, x := range slots {
		if err := w.DB.RemoveSlot(ctx, w.Ada, x.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.DB.RemoveSlot(ctx, w.Ada, s.ID); !errors.Is(err, vault.ErrLastSlot) {
		t.Errorf("RemoveSlot() of the last = %v, want ErrLastSlot", err)
	}
	if err := other.Reload(ctx); err != nil || len(other.Vault().Slots()) != 1 {
		t.Errorf("after Reload() the other process knows %d slots, %v; want 1", len(other.Vault().Slots()), err)
	}
	if !bytes.Equal(other.Vault().Slots()[0].Wrapped, s.Wrapped) {
		t.Error("Reload() gave another slot")
	}
}

// TestDisableTakesTheVaultAway: a member's own secrets open nothing once they
// are disabled, here and in every other process; the last one is not taken.
func TestDisableTakesTheVaultAway(t *testing.T) {
	w, ctx := postgrestest.New(t), t.Context()
	by := w.SteppedUp(w.Ada)
	if _, err := w.DB.AddSlot(ctx, by, vault.SlotPassphrase, postgres.Holder{Member: w.Tri.Member}, "the passphrase of Tri", vault.TestCost); err != nil {
		t.Fatal(err)
	}
	other := w.Open(t, nil) // another process, which knows the slot
	if n := len(other.Vault().Slots()); n != 3 {
		t.Fatalf("%d slots, want 3", n)
	}
	if err := w.DB.Disable(ctx, by, w.Tri.Member); err != nil {
		t.Fatal(err)
	}
	for name, db := range map[string]*postgres.DB{"here": w.DB, "elsewhere": other} {
		db.Vault().Lock()
		if err := db.Unlock(ctx, "the passphrase of Tri"); !errors.Is(err, vault.ErrWrongSecret) || db.Vault().Unlocked() {
			t.Errorf("%s the passphrase of who was disabled: %v, unlocked %t", name, err, db.Vault().Unlocked())
		}
		if err := db.Unlock(ctx, postgrestest.Passphrase); err != nil {
			t.Errorf("%s the passphrase of who stays: %v", name, err)
		}
	}
	if err := w.DB.Enable(ctx, by, w.Tri.Member); err != nil {
		t.Fatal(err)
	}
	slots, err := w.DB.Slots(ctx, by)
	if err != nil || len(slots) != 2 {
		t.Fatalf("Slots() = %d, %v; want 2: enabling brings none back", len(slots), err)
	}
	for _, s := range slots {
		if err := w.DB.GiveSlot(ctx, by, s.ID, w.Tri.Member); err != nil {
			t.Fatal(err)
		}
	}
	var refusal *disclosure.Refusal
	if err := w.DB.Disable(ctx, by, w.Tri.Member); !errors.As(err, &refusal) {
		t.Errorf("Disable() of who alone can unlock = %v, want a refusal", err)
	}
	if err := w.DB.GiveSlot(ctx, by, slots[0].ID, "nobody"); !errors.As(err, &refusal) {
		t.Errorf("GiveSlot() to nobody known = %v, want a refusal", err)
	}
}
