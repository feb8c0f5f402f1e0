package vault_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"postern/internal/vault"
)

func arrivalMeta(s *vault.SetupResult) vault.ArrivalMeta {
	return vault.ArrivalMeta{
		Instance: instance, ID: "a1", Kind: "report", Channel: "form",
		VaultKey: s.Record.KeyID, Received: created,
	}
}

func TestArrivalThereAndBack(t *testing.T) {
	s := setup(t)
	meta := arrivalMeta(s)
	// The gate knows the public half alone.
	public, err := vault.ParsePublic(s.Record.Public)
	if err != nil {
		t.Fatal(err)
	}
	if public.ID() != s.Record.KeyID || public.Fingerprint() != s.Vault.Public().Fingerprint() {
		t.Errorf("ParsePublic gave key %s, want %s", public.ID(), s.Record.KeyID)
	}
	sealer, err := public.SealArrival(meta)
	if err != nil {
		t.Fatal(err)
	}
	bodies := [][]byte{bytes.Repeat([]byte{1}, vault.MaxArrivalChunk), bytes.Repeat([]byte{0}, 5000)}
	header := sealer.Header([]byte("from somebody"))
	chunks := [][]byte{sealer.Chunk(0, false, bodies[0]), sealer.Chunk(1, true, bodies[1])}

	// PostgreSQL gives the time back in another zone and without nanoseconds.
	stored := meta
	stored.Received = meta.Received.Truncate(time.Microsecond).In(time.FixedZone("x", 3600))
	key, err := s.Vault.OpenArrival(stored, sealer.Encapsulation())
	if err != nil {
		t.Fatalf("OpenArrival: %v", err)
	}
	if got, err := vault.OpenArrivalHeader(key, stored, header); err != nil || string(got) != "from somebody" {
		t.Errorf("OpenArrivalHeader = %q, %v", got, err)
	}
	for n, sealed := range chunks {
		got, err := vault.OpenArrivalChunk(key, stored, n, n == 1, sealed)
		if err != nil || !bytes.Equal(got, bodies[n]) {
			t.Errorf("OpenArrivalChunk(%d) = %d bytes, %v, want %d", n, len(got), err, len(bodies[n]))
		}
	}
	if again, err := public.SealArrival(meta); err != nil || bytes.Equal(again.Encapsulation(), sealer.Encapsulation()) {
		t.Errorf("two arrivals have the same encapsulation (%v)", err)
	}
}

func TestArrivalSizes(t *testing.T) {
	s := setup(t)
	sealer, err := s.Vault.Public().SealArrival(arrivalMeta(s))
	if err != nil {
		t.Fatal(err)
	}
	full := make([]byte, vault.MaxArrivalChunk)
	if got := len(sealer.Chunk(0, true, full)); got != vault.MaxSealedArrivalChunk {
		t.Errorf("a full last chunk has %d bytes sealed, want %d", got, vault.MaxSealedArrivalChunk)
	}
	if got, want := len(sealer.Chunk(0, false, full)), vault.MaxArrivalChunk+vault.Overhead; got != want {
		t.Errorf("a full chunk has %d bytes sealed, want %d", got, want)
	}
	for _, n := range []int{0, 1, 4095} {
		if got, want := len(sealer.Chunk(0, true, full[:n])), 4096+vault.Overhead; got != want {
			t.Errorf("a last chunk of %d bytes has %d sealed, want %d", n, got, want)
		}
	}
	if a, b := len(sealer.Header([]byte("x"))), len(sealer.Header(full[:900])); a != b {
		t.Errorf("headers of 1 and 900 bytes are told apart: %d and %d", a, b)
	}
}

// Every plain column of the arrival is bound to all of its sealed ones.
func TestArrivalTampering(t *testing.T) {
	s := setup(t)
	meta := arrivalMeta(s)
	sealer, err := s.Vault.Public().SealArrival(meta)
	if err != nil {
		t.Fatal(err)
	}
	encapsulation, header := sealer.Encapsulation(), sealer.Header([]byte("h"))
	first, last := sealer.Chunk(0, false, []byte("first")), sealer.Chunk(1, true, []byte("last"))
	key, err := s.Vault.OpenArrival(meta, encapsulation)
	if err != nil {
		t.Fatal(err)
	}

	changes := map[string]func(*vault.ArrivalMeta){
		"instance": func(m *vault.ArrivalMeta) { m.Instance += "0" },
		"id":       func(m *vault.ArrivalMeta) { m.ID = "a2" },
		"kind":     func(m *vault.ArrivalMeta) { m.Kind = "mail" },
		"channel":  func(m *vault.ArrivalMeta) { m.Channel = "api" },
		"received": func(m *vault.ArrivalMeta) { m.Received = m.Received.Add(time.Microsecond) },
		"shifted":  func(m *vault.ArrivalMeta) { m.Kind, m.Channel = m.Kind+m.Channel[:1], m.Channel[1:] },
	}
	for name, change := range changes {
		other := meta
		change(&other)
		if _, err := s.Vault.OpenArrival(other, encapsulation); !errors.Is(err, vault.ErrOpen) {
			t.Errorf("OpenArrival with another %s = %v, want ErrOpen", name, err)
		}
		if _, err := vault.OpenArrivalHeader(key, other, header); !errors.Is(err, vault.ErrOpen) {
			t.Errorf("OpenArrivalHeader with another %s = %v, want ErrOpen", name, err)
		}
		if _, err := vault.OpenArrivalChunk(key, other, 0, false, first); !errors.Is(err, vault.ErrOpen) {
			t.Errorf("OpenArrivalChunk with another %s = %v, want ErrOpen", name, err)
		}
	}
	other := meta
	other.VaultKey = strings.Repeat("0", 32)
	if _, err := s.Vault.OpenArrival(other, encapsulation); !errors.Is(err, vault.ErrOtherVaultKey) {
		t.Errorf("OpenArrival with another vault key = %v, want ErrOtherVaultKey", err)
	}
	if _, err := s.Vault.Public().SealArrival(other); err == nil {
		t.Error("SealArrival took the id of another vault key")
	}

	for _, c := range []struct {
		name   string
		n      int
		final  bool
		sealed []byte
	}{
		{"the chunks swapped", 0, false, last},
		{"the last missing", 0, true, first},
		{"the last taken for one before", 1, false, last},
		{"the first again", 1, false, first},
		{"the header in its place", 0, false, header},
		{"nothing", 0, false, nil},
		{"a piece", 1, true, last[:len(last)-1]},
		{"a changed bit", 1, true, flip(last, len(last)-1)},
	} {
		if got, err := vault.OpenArrivalChunk(key, meta, c.n, c.final, c.sealed); !errors.Is(err, vault.ErrOpen) {
			t.Errorf("OpenArrivalChunk with %s = %q, %v, want ErrOpen", c.name, got, err)
		}
	}
	for _, bad := range [][]byte{nil, encapsulation[:100], flip(encapsulation, 5), flip(encapsulation, len(encapsulation)-1)} {
		if _, err := s.Vault.OpenArrival(meta, bad); !errors.Is(err, vault.ErrOpen) {
			t.Errorf("OpenArrival of a damaged encapsulation = %v, want ErrOpen", err)
		}
	}
	stranger, err := vault.Setup(instance, "eve", passphrase, created, vault.TestCost)
	if err != nil {
		t.Fatal(err)
	}
	theirs := meta
	theirs.VaultKey = stranger.Record.KeyID
	if _, err := stranger.Vault.OpenArrival(theirs, encapsulation); !errors.Is(err, vault.ErrOpen) {
		t.Errorf("OpenArrival with another vault = %v, want ErrOpen", err)
	}
}

func flip(b []byte, at int) []byte {
	out := bytes.Clone(b)
	out[at] ^= 1
	return out
}
