package vault_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/vault"
)

const (
	instance   = vault.InstanceID("5f5f")
	passphrase = "correct horse battery"
)

var created = time.Date(2026, 3, 4, 5, 6, 7, 890123456, time.UTC)

func setup(t testing.TB) *vault.SetupResult {
	t.Helper()
	s, err := vault.Setup(instance, "ada", passphrase, created, vault.TestCost)
	if err != nil {
		t.Fatalf("Setup: %v", err)
	}
	return s
}

func load(t testing.TB, s *vault.SetupResult) *vault.Vault {
	t.Helper()
	v, err := vault.Load(instance, s.Record, s.Slots)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return v
}

func TestUnlock(t *testing.T) {
	s := setup(t)
	nbsp := "\u00a0"
	cases := []struct {
		name, secret string
		slot         string // empty: refused
	}{
		{"passphrase", passphrase, s.Slots[0].ID},
		{"with the line end of a file", passphrase + "\n", s.Slots[0].ID},
		{"recovery phrase", s.Recovery, s.Slots[1].ID},
		{"shouted", strings.ToUpper(s.Recovery), s.Slots[1].ID},
		{"spaced and broken", "\n  " + strings.ReplaceAll(s.Recovery, " ", " \n\t"+nbsp) + " ", s.Slots[1].ID},
		{"hyphened", strings.ReplaceAll(s.Recovery, " ", "-"), s.Slots[1].ID},
		{"empty", "", ""},
		{"other passphrase", "correct horse batteri", ""},
		{"other case", strings.ToUpper(passphrase), ""},
		{"trailing space", passphrase + " ", ""},
		{"nine words of the phrase", s.Recovery[:strings.LastIndex(s.Recovery, " ")], ""},
		{"words out of order", reversed(s.Recovery), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := load(t, s)
			got, err := v.Unlock(c.secret)
			if c.slot == "" {
				if !errors.Is(err, vault.ErrWrongSecret) || got != "" || v.Unlocked() {
					t.Errorf("Unlock = %q, %v, want ErrWrongSecret", got, err)
				}
				return
			}
			if err != nil || got != c.slot || !v.Unlocked() {
				t.Errorf("Unlock = %q, %v, want slot %q", got, err, c.slot)
			}
		})
	}
}

func reversed(phrase string) string {
	words := strings.Fields(phrase)
	slices.Reverse(words)
	return strings.Join(words, " ")
}

func TestUnlockedVaultHasTheSameKeys(t *testing.T) {
	s := setup(t)
	want, err := s.Vault.DeskKey()
	if err != nil {
		t.Fatal(err)
	}
	v := load(t, s)
	if _, err := v.DeskKey(); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("DeskKey of a locked vault: %v, want ErrLocked", err)
	}
	for _, secret := range []string{passphrase, s.Recovery} {
		if _, err := v.Unlock(secret); err != nil {
			t.Fatalf("Unlock: %v", err)
		}
		if got, err := v.DeskKey(); err != nil || got != want {
			t.Errorf("DeskKey after Unlock: another key, %v", err)
		}
		v.Lock()
	}
	if _, err := v.Unlock("something else"); err == nil || v.Unlocked() {
		t.Error("a wrong secret unlocked")
	}
	if _, err := v.Unlock(passphrase); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Unlock("something else"); !errors.Is(err, vault.ErrWrongSecret) || !v.Unlocked() {
		t.Errorf("a wrong secret at an open vault = %v, open: %v; want ErrWrongSecret and open", err, v.Unlocked())
	}
}

func TestLockedVaultOpensNothing(t *testing.T) {
	s := setup(t)
	v := load(t, s)
	sealed, err := v.Public().Seal("log 1", []byte("x"))
	if err != nil {
		t.Fatalf("Seal while locked: %v", err)
	}
	meta := arrivalMeta(s)
	sealer, err := v.Public().SealArrival(meta)
	if err != nil {
		t.Fatalf("SealArrival while locked: %v", err)
	}
	if _, err := v.OpenSealed("log 1", sealed); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("OpenSealed = %v, want ErrLocked", err)
	}
	if _, err := v.OpenArrival(meta, sealer.Encapsulation()); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("OpenArrival = %v, want ErrLocked", err)
	}
	if _, err := v.AddSlot(vault.SlotPassphrase, "bob", "another passphrase", created, vault.TestCost); !errors.Is(err, vault.ErrLocked) {
		t.Errorf("AddSlot = %v, want ErrLocked", err)
	}
	if _, err := v.Unlock(passphrase); err != nil {
		t.Fatal(err)
	}
	if got, err := v.OpenSealed("log 1", sealed); err != nil || string(got) != "x" {
		t.Errorf("OpenSealed after Unlock = %q, %v, want x", got, err)
	}
	if _, err := v.OpenSealed("log 2", sealed); !errors.Is(err, vault.ErrOpen) {
		t.Errorf("OpenSealed under another info = %v, want ErrOpen", err)
	}
}

func TestSlots(t *testing.T) {
	s := setup(t)
	v := s.Vault
	bob, err := v.AddSlot(vault.SlotPassphrase, "bob", "a quite different one", created, vault.TestCost)
	if err != nil {
		t.Fatalf("AddSlot: %v", err)
	}
	again := load(t, &vault.SetupResult{Record: s.Record, Slots: v.Slots()})
	if got, err := again.Unlock("a quite different one"); err != nil || got != bob.ID {
		t.Errorf("Unlock with the new slot = %q, %v, want %q", got, err, bob.ID)
	}
	if err := again.SetSlots([]vault.Slot{bob}); err != nil {
		t.Fatalf("SetSlots: %v", err)
	}
	if _, err := again.Unlock(passphrase); !errors.Is(err, vault.ErrWrongSecret) {
		t.Errorf("Unlock with a removed slot = %v, want ErrWrongSecret", err)
	}
	if err := again.SetSlots(nil); !errors.Is(err, vault.ErrLastSlot) {
		t.Errorf("SetSlots(nil) = %v, want ErrLastSlot", err)
	}

	refused := []struct {
		name   string
		kind   vault.SlotKind
		secret string
		cost   vault.Cost
		want   error
	}{
		{"machine", vault.SlotMachine, "a machine credential", vault.TestCost, vault.ErrMachineSlot},
		{"short", vault.SlotPassphrase, "short", vault.TestCost, vault.ErrShortPassphrase},
		{"short recovery", vault.SlotRecovery, "abacus zoom", vault.TestCost, nil},
		{"unknown kind", "x", "a long enough one", vault.TestCost, nil},
		{"no cost", vault.SlotPassphrase, "a long enough one", vault.Cost{}, nil},
		{"absurd cost", vault.SlotPassphrase, "a long enough one", vault.Cost{Time: 1, MemoryKiB: 1 << 31, Threads: 1}, nil},
	}
	for _, c := range refused {
		before := len(v.Slots())
		_, err := v.AddSlot(c.kind, "x", c.secret, created, c.cost)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || len(v.Slots()) != before {
			t.Errorf("AddSlot(%s) = %v, want %v", c.name, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), c.secret) {
			t.Errorf("AddSlot(%s): the error tells the secret: %v", c.name, err)
		}
	}
	if _, err := vault.Setup(instance, "ada", "short", created, vault.TestCost); !errors.Is(err, vault.ErrShortPassphrase) {
		t.Errorf("Setup with a short passphrase = %v, want ErrShortPassphrase", err)
	}
}

// A row somebody else wrote must neither open, nor eat the machine, nor keep
// the good slots from opening.
func TestForgedSlots(t *testing.T) {
	s := setup(t)
	edit := func(change func(*vault.Slot)) vault.Slot {
		slot := s.Slots[0]
		slot.KDF, slot.Wrapped = slices.Clone(slot.KDF), slices.Clone(slot.Wrapped)
		change(&slot)
		return slot
	}
	forged := map[string]vault.Slot{
		"id":              edit(func(s *vault.Slot) { s.ID = "other" }),
		"key":             edit(func(s *vault.Slot) { s.KeyID = "other" }),
		"kind":            edit(func(s *vault.Slot) { s.Kind = vault.SlotRecovery }),
		"machine":         edit(func(s *vault.Slot) { s.Kind = vault.SlotMachine }),
		"commitment":      edit(func(s *vault.Slot) { s.Wrapped[0] ^= 1 }),
		"ciphertext":      edit(func(s *vault.Slot) { s.Wrapped[len(s.Wrapped)-1] ^= 1 }),
		"cut":             edit(func(s *vault.Slot) { s.Wrapped = s.Wrapped[:40] }),
		"empty":           edit(func(s *vault.Slot) { s.Wrapped = nil }),
		"no derivation":   edit(func(s *vault.Slot) { s.KDF = nil }),
		"other algorithm": edit(func(s *vault.Slot) { s.KDF = []byte(`{"algorithm":"md5","salt":"AAAAAAAAAAAAAAAA"}`) }),
		"absurd memory": edit(func(s *vault.Slot) {
			s.KDF = []byte(`{"algorithm":"argon2id","salt":"AAAAAAAAAAAAAAAA","time":1,"memory_kib":4294967295,"threads":1}`)
		}),
		"zero time": edit(func(s *vault.Slot) {
			s.KDF = []byte(`{"algorithm":"argon2id","salt":"AAAAAAAAAAAAAAAA","time":0,"memory_kib":64,"threads":1}`)
		}),
		"no salt": edit(func(s *vault.Slot) {
			s.KDF = []byte(`{"algorithm":"argon2id","salt":"","time":1,"memory_kib":64,"threads":1}`)
		}),
	}
	for name, slot := range forged {
		v := load(t, &vault.SetupResult{Record: s.Record, Slots: []vault.Slot{slot}})
		if _, err := v.Unlock(passphrase); !errors.Is(err, vault.ErrWrongSecret) {
			t.Errorf("Unlock with forged %s = %v, want ErrWrongSecret", name, err)
		}
		v = load(t, &vault.SetupResult{Record: s.Record, Slots: []vault.Slot{slot, s.Slots[0]}})
		if _, err := v.Unlock(passphrase); err != nil {
			t.Errorf("Unlock with a good slot beside forged %s = %v", name, err)
		}
	}
	relabeled := edit(func(s *vault.Slot) { s.Label = "Ada Lovelace" })
	v := load(t, &vault.SetupResult{Record: s.Record, Slots: []vault.Slot{relabeled}})
	if _, err := v.Unlock(passphrase); err != nil {
		t.Errorf("Unlock after the label was changed = %v", err)
	}
	v, err := vault.Load("another", s.Record, s.Slots)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Unlock(passphrase); !errors.Is(err, vault.ErrWrongSecret) {
		t.Errorf("Unlock in another instance = %v, want ErrWrongSecret", err)
	}
}

func TestWatch(t *testing.T) {
	s := setup(t)
	v := load(t, s)
	closed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	first := v.Watch()
	v.Lock() // already locked: no change
	if _, err := v.Unlock("a wrong passphrase"); err == nil || closed(first) {
		t.Error("Watch fired without a change")
	}
	if _, err := v.Unlock(passphrase); err != nil || !closed(first) {
		t.Errorf("Watch did not fire at Unlock (%v)", err)
	}
	second := v.Watch()
	if _, err := v.Unlock(passphrase); err != nil || closed(second) {
		t.Errorf("Watch fired at a second Unlock (%v)", err)
	}
	v.Lock()
	if !closed(second) {
		t.Error("Watch did not fire at Lock")
	}
}

// Under -race. Whatever the order, an answer is right or ErrLocked.
func TestConcurrentUse(t *testing.T) {
	s := setup(t)
	v := load(t, s)
	want, err := s.Vault.DeskKey()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := v.Public().Seal("log", []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for range 20 {
				if _, err := v.Unlock(passphrase); err != nil {
					t.Errorf("Unlock: %v", err)
				}
				if i == 0 {
					v.Lock()
				}
			}
		})
		group.Go(func() {
			for range 50 {
				if got, err := v.DeskKey(); err == nil && got != want || err != nil && !errors.Is(err, vault.ErrLocked) {
					t.Errorf("DeskKey: another key, %v", err)
				}
				got, err := v.OpenSealed("log", sealed)
				if err == nil && string(got) != "payload" || err != nil && !errors.Is(err, vault.ErrLocked) {
					t.Errorf("OpenSealed = %q, %v", got, err)
				}
				_ = v.Watch()
			}
		})
	}
	group.Go(func() {
		for range 10 {
			if _, err := v.AddSlot(vault.SlotPassphrase, "x", "yet another passphrase", created, vault.TestCost); err != nil && !errors.Is(err, vault.ErrLocked) {
				t.Errorf("AddSlot: %v", err)
			}
			if err := v.SetSlots(s.Slots); err != nil {
				t.Errorf("SetSlots: %v", err)
			}
		}
	})
	group.Wait()
}
