package vault_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/vault"
)

var place = vault.AAD{Instance: instance, Table: "case", Column: "title", Row: "r1", Owner: "c1", Version: 1}

func otherPlaces() map[string]vault.AAD {
	places := map[string]vault.AAD{}
	add := func(name string, change func(*vault.AAD)) {
		a := place
		change(&a)
		places[name] = a
	}
	add("instance", func(a *vault.AAD) { a.Instance = "6f6f" })
	add("table", func(a *vault.AAD) { a.Table = "release" })
	add("column", func(a *vault.AAD) { a.Column = "note" })
	add("row", func(a *vault.AAD) { a.Row = "r2" })
	add("owner", func(a *vault.AAD) { a.Owner = "c2" })
	add("no owner", func(a *vault.AAD) { a.Owner = "" })
	add("version", func(a *vault.AAD) { a.Version = 2 })
	add("border", func(a *vault.AAD) { a.Table, a.Column = "caset", "itle" })
	return places
}

func TestSealedValuesStayInTheirPlace(t *testing.T) {
	k, other, inner := vault.NewKey(), vault.NewKey(), vault.NewKey()
	sealed, wrapped := k.Seal(place, []byte("title")), k.Wrap(place, inner)
	if got, err := k.Open(place, sealed); err != nil || string(got) != "title" {
		t.Fatalf("Open = %q, %v, want title", got, err)
	}
	if got, err := k.Unwrap(place, wrapped); err != nil || got != inner {
		t.Fatalf("Unwrap: another key, %v", err)
	}
	refused := func(name string, k vault.Key, at vault.AAD, sealed, wrapped []byte) {
		t.Helper()
		if got, err := k.Open(at, sealed); !errors.Is(err, vault.ErrOpen) || got != nil {
			t.Errorf("Open with %s = %q, %v, want ErrOpen", name, got, err)
		}
		if got, err := k.Unwrap(at, wrapped); !errors.Is(err, vault.ErrOpen) || !got.IsZero() {
			t.Errorf("Unwrap with %s = %v, want ErrOpen", name, err)
		}
	}
	for name, at := range otherPlaces() {
		refused("another "+name, k, at, sealed, wrapped)
	}
	refused("another key", other, place, sealed, wrapped)
	refused("a wrapped key for a value", k, place, wrapped, sealed)
	refused("nothing", k, place, nil, nil)
	refused("a piece", k, place, sealed[:20], wrapped[:20])
	for i := range sealed {
		if _, err := k.Open(place, flip(sealed, i)); !errors.Is(err, vault.ErrOpen) {
			t.Errorf("Open with byte %d changed = %v, want ErrOpen", i, err)
		}
	}
}

func TestSealRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "plain")
		k := vault.NewKey()
		a, b := k.Seal(place, plain), k.Seal(place, plain)
		if bytes.Equal(a, b) {
			t.Fatal("sealed twice, the same bytes")
		}
		if want := vault.Bucket(len(plain)+1, 64) + vault.Overhead; len(a) != want {
			t.Fatalf("Seal of %d bytes has %d, want %d", len(plain), len(a), want)
		}
		if got, err := k.Open(place, a); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("Open(Seal(%x)) = %x, %v", plain, got, err)
		}
	})
}

func TestTagAndDerive(t *testing.T) {
	k := vault.NewKey()
	tag := k.Tag("approval", []byte("ab"), []byte("c"))
	if !vault.EqualTags(tag, k.Tag("approval", []byte("ab"), []byte("c"))) {
		t.Error("Tag is not the same twice")
	}
	derived := k.Derive("approval", []byte("ab"), []byte("c"))
	for name, other := range map[string][]byte{
		"other border":     k.Tag("approval", []byte("a"), []byte("bc")),
		"joined":           k.Tag("approval", []byte("abc")),
		"one more":         k.Tag("approval", []byte("ab"), []byte("c"), nil),
		"other label":      k.Tag("approvals", []byte("ab"), []byte("c")),
		"label for a part": k.Tag("approval", []byte("approval"), []byte("ab"), []byte("c")),
		"other key":        vault.NewKey().Tag("approval", []byte("ab"), []byte("c")),
	} {
		if vault.EqualTags(tag, other) {
			t.Errorf("Tag with %s is the same", name)
		}
	}
	if asKey, err := vault.KeyFromBytes(tag); err != nil || asKey == derived {
		t.Errorf("Derive gives what Tag gives (%v)", err)
	}
	if derived == k.Derive("approval", []byte("ab")) || derived == k || derived.IsZero() {
		t.Error("Derive does not depend on its context")
	}
}

func TestKeyFromBytes(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := vault.KeyFromBytes(make([]byte, n)); err == nil {
			t.Errorf("KeyFromBytes of %d bytes gave a key", n)
		}
	}
	if k := vault.NewKey(); k.IsZero() || k == vault.NewKey() || !(vault.Key{}).IsZero() {
		t.Error("NewKey gave no new key")
	}
	if a, b := vault.NewID(), vault.NewID(); len(a) != 32 || a == b {
		t.Errorf("NewID = %q, %q, want two of 32 digits", a, b)
	}
}

// Whatever is printed by mistake, it is never a secret.
func TestNothingSecretIsPrinted(t *testing.T) {
	s := setup(t)
	raw := bytes.Repeat([]byte{0xab}, 32)
	k, err := vault.KeyFromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	code := vault.CodeFrom([32]byte(raw))
	sealer, err := s.Vault.Public().SealArrival(arrivalMeta(s))
	if err != nil {
		t.Fatal(err)
	}
	words := code.Words()
	_, slip := vault.ParseCode("secretword " + strings.Join(words[1:], " "))
	values := []any{
		k, &k, code, &code, s, *s, s.Vault, code.Mailbox(instance), sealer, slip,
		k.SealBlob(place, nil), k.OpenBlob(place, nil), struct{ Key vault.Key }{k}, []vault.Code{code},
		map[string]vault.Key{"k": k},
	}
	forbidden := append([]string{"abab", "ABAB", "171", "\xab\xab", "secretword", s.Recovery}, words...)
	for i, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			check(t, fmt.Sprintf("%s of value %d", verb, i), fmt.Sprintf(verb, value), forbidden)
		}
		var log bytes.Buffer
		options := &slog.HandlerOptions{ReplaceAttr: withoutTime}
		slog.New(slog.NewTextHandler(&log, options)).Info("x", "value", value)
		slog.New(slog.NewJSONHandler(&log, options)).Info("x", "value", value)
		check(t, fmt.Sprintf("slog of value %d", i), log.String(), forbidden)
	}
	text, err := json.Marshal([]any{k, code})
	if err != nil || string(text) != `["[key]","[mailbox code]"]` {
		t.Errorf("json.Marshal = %s, %v", text, err)
	}
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func check(t *testing.T, name, out string, forbidden []string) {
	t.Helper()
	for _, secret := range forbidden {
		if strings.Contains(out, secret) {
			t.Errorf("%s prints %q: %.80q", name, secret, out)
		}
	}
}
