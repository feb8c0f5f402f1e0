package vault

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write testdata anew: only for a new format version")

func golden(t *testing.T, name string, got map[string]string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		text, err := json.MarshalIndent(got, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(readGolden(t, path), got); diff != "" {
		t.Errorf("the format drifted from %s (-want +got):\n%s", path, diff)
	}
}

func readGolden(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

func keyOf(b byte) Key {
	var k Key
	for i := range k.b {
		k.b[i] = b
	}
	return k
}

var (
	fixedAAD = AAD{Instance: "5f", Table: "case", Column: "title", Row: "r1", Owner: "c1", Version: 3}
	fixedAt  = time.Date(2026, 3, 4, 5, 6, 7, 890123456, time.UTC)
)

// What goes into authentication and derivation never changes within v1: a
// drift would make every stored row unreadable.
func TestFormatIsFixed(t *testing.T) {
	code := CodeFrom([32]byte(keyOf(7).b))
	box := code.Mailbox("5f")
	arrival, idempotent := FromIdempotencyKey("key-1", [32]byte(keyOf(9).b))
	derived := keyOf(1).Derive("label", []byte("a"), []byte("bc"))
	public, err := ParsePublic(box.Public())
	if err != nil {
		t.Fatal(err)
	}
	meta := ArrivalMeta{"5f", "a1", "report", "form", "k1", fixedAt}
	list := sha256.Sum256([]byte(strings.Join(wordList().words, "\n")))
	golden(t, "format.json", map[string]string{
		"aad value":           hex.EncodeToString(fixedAAD.encode("value")),
		"aad key":             hex.EncodeToString(fixedAAD.encode("key")),
		"aad empty":           hex.EncodeToString(AAD{}.encode("value")),
		"arrival":             hex.EncodeToString(meta.encode("arrival")),
		"arrival chunk":       hex.EncodeToString(chunkAAD(meta, 2, true)),
		"slot":                hex.EncodeToString(Slot{ID: "s1", KeyID: "k1", Kind: SlotPassphrase}.aad("5f")),
		"tag":                 hex.EncodeToString(keyOf(1).Tag("label", []byte("a"), []byte("bc"))),
		"derived":             hex.EncodeToString(derived.b[:]),
		"blob nonce 1":        hex.EncodeToString(blobNonce(1, false)),
		"blob nonce 258 last": hex.EncodeToString(blobNonce(258, true)),
		"word list":           hex.EncodeToString(list[:]),
		"code":                strings.Join(code.Words(), " "),
		"mailbox id":          box.ID(),
		"mailbox fingerprint": public.Fingerprint(),
		"idempotent arrival":  arrival,
		"idempotent code":     strings.Join(idempotent.Words(), " "),
	})
}

// The encoding must be readable from the outside: this writes it by hand.
func TestAADEncodingByHand(t *testing.T) {
	want := "postern/v1" +
		"\x00\x00\x00\x05value" +
		"\x00\x00\x00\x025f" +
		"\x00\x00\x00\x04case" +
		"\x00\x00\x00\x05title" +
		"\x00\x00\x00\x02r1" +
		"\x00\x00\x00\x02c1" +
		"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x03"
	if got := string(fixedAAD.encode("value")); got != want {
		t.Errorf("encode(value) = %q, want %q", got, want)
	}
}

// Rows sealed by the first version are kept in testdata and open for ever.
func TestOldRowsOpen(t *testing.T) {
	const passphrase = "correct horse battery"
	if *update {
		writeOldRows(t, passphrase)
	}
	rows := readGolden(t, filepath.Join("testdata", "sealed.json"))
	b := func(name string) []byte {
		out, err := hex.DecodeString(rows[name])
		if err != nil || len(out) == 0 {
			t.Fatalf("testdata %q: %v", name, err)
		}
		return out
	}
	slot := Slot{ID: rows["slot id"], KeyID: rows["key id"], Kind: SlotPassphrase, KDF: []byte(rows["slot kdf"]), Wrapped: b("slot wrapped")}
	v, err := Load("5f", Record{KeyID: rows["key id"], Public: b("public"), SealedDeskKey: b("desk key")}, []Slot{slot})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := v.Unlock(passphrase); err != nil || id != slot.ID {
		t.Fatalf("Unlock = %q, %v, want %q", id, err, slot.ID)
	}
	desk, err := v.DeskKey()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := desk.Open(fixedAAD, b("value")); err != nil || string(got) != "a title" {
		t.Errorf("Open(value) = %q, %v, want %q", got, err, "a title")
	}
	if got, err := v.OpenSealed("log 1", b("sealed")); err != nil || string(got) != "a payload" {
		t.Errorf("OpenSealed = %q, %v, want %q", got, err, "a payload")
	}
	meta := ArrivalMeta{"5f", "a1", "report", "form", rows["key id"], fixedAt}
	key, err := v.OpenArrival(meta, b("encapsulation"))
	if err != nil {
		t.Fatalf("OpenArrival: %v", err)
	}
	if got, err := OpenArrivalChunk(key, meta, 0, true, b("chunk")); err != nil || string(got) != "a report" {
		t.Errorf("OpenArrivalChunk = %q, %v, want %q", got, err, "a report")
	}
}

func writeOldRows(t *testing.T, passphrase string) {
	t.Helper()
	s, err := Setup("5f", "ada", passphrase, fixedAt, TestCost)
	if err != nil {
		t.Fatal(err)
	}
	desk, _ := s.Vault.DeskKey()
	sealed, err := s.Vault.Public().Seal("log 1", []byte("a payload"))
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := s.Vault.Public().SealArrival(ArrivalMeta{"5f", "a1", "report", "form", s.Record.KeyID, fixedAt})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "sealed.json", map[string]string{
		"key id": s.Record.KeyID, "public": hex.EncodeToString(s.Record.Public), "desk key": hex.EncodeToString(s.Record.SealedDeskKey),
		"slot id": s.Slots[0].ID, "slot kdf": string(s.Slots[0].KDF), "slot wrapped": hex.EncodeToString(s.Slots[0].Wrapped),
		"value": hex.EncodeToString(desk.Seal(fixedAAD, []byte("a title"))), "sealed": hex.EncodeToString(sealed),
		"encapsulation": hex.EncodeToString(sealer.Encapsulation()), "chunk": hex.EncodeToString(sealer.Chunk(0, true, []byte("a report"))),
	})
}

func TestEncodeIsInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 6), 0, 4)
		a, b := parts.Draw(t, "a"), parts.Draw(t, "b")
		same := slices.EqualFunc(a, b, slices.Equal)
		if got := string(encode("x", a...)) == string(encode("x", b...)); got != same {
			t.Fatalf("encode(%q) == encode(%q): %v, want %v", a, b, got, same)
		}
	})
}

func TestPadding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(0, 300), rapid.IntRange(0, 3<<20)).Draw(t, "n")
		least := rapid.SampledFrom([]int{leastValue, leastHeader, leastBody}).Draw(t, "least")
		size := Bucket(n, least)
		switch {
		case size < n || size < least:
			t.Fatalf("Bucket(%d, %d) = %d, too small", n, least, size)
		case n > least && n <= fineAbove && size*4 > n*5:
			t.Fatalf("Bucket(%d, %d) = %d, more than a quarter above", n, least, size)
		case n > fineAbove && size*16 > n*17:
			t.Fatalf("Bucket(%d, %d) = %d, more than a sixteenth above", n, least, size)
		case Bucket(size, least) != size:
			t.Fatalf("Bucket(%d, %d) = %d, which is no bucket itself", n, least, size)
		}
		plain := slices.Repeat([]byte{0}, min(n, 5000)) // zeros are the hard case
		got, err := unpad(pad(plain, least))
		if err != nil || !slices.Equal(got, plain) {
			t.Fatalf("unpad(pad(%d zeros)) = %d bytes, %v", len(plain), len(got), err)
		}
	})
	for _, bad := range [][]byte{nil, {0}, {1}, {0x80, 1}, make([]byte, 64)} {
		if _, err := unpad(bad); !errors.Is(err, ErrOpen) {
			t.Errorf("unpad(%x) = %v, want ErrOpen", bad, err)
		}
	}
}

func TestBucketsListed(t *testing.T) {
	var got []int
	for n := 1; n <= 512; n++ {
		if b := Bucket(n, leastValue); len(got) == 0 || got[len(got)-1] != b {
			got = append(got, b)
		}
	}
	want := []int{64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Bucket's sizes up to 512 (-want +got):\n%s", diff)
	}
}

func TestLockZeroesTheKeys(t *testing.T) {
	s, err := Setup("5f", "ada", "correct horse battery", fixedAt, TestCost)
	if err != nil {
		t.Fatal(err)
	}
	v := s.Vault
	if v.seed.IsZero() || v.desk.IsZero() || v.private == nil {
		t.Fatal("Setup gave a vault without keys")
	}
	v.Lock()
	if !v.seed.IsZero() || !v.desk.IsZero() || v.private != nil {
		t.Error("after Lock the keys are still in the vault")
	}
}

// Somebody who can write to the database must not be able to put keys of his
// own in place of ours.
func TestAlteredRecordIsFound(t *testing.T) {
	const passphrase = "correct horse battery"
	ours, err := Setup("5f", "ada", passphrase, fixedAt, TestCost)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := Setup("5f", "eve", passphrase, fixedAt, TestCost)
	if err != nil {
		t.Fatal(err)
	}
	rec := ours.Record
	rec.SealedDeskKey = theirs.Record.SealedDeskKey
	v, err := Load("5f", rec, ours.Slots)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Unlock(passphrase); !errors.Is(err, ErrAltered) || v.Unlocked() {
		t.Errorf("Unlock with another desk key = %v, want ErrAltered", err)
	}
	rec = ours.Record
	rec.Public = theirs.Record.Public
	if _, err := Load("5f", rec, ours.Slots); !errors.Is(err, ErrAltered) {
		t.Errorf("Load with another public key = %v, want ErrAltered", err)
	}
	// The whole record replaced, our slots relabeled to fit it.
	slots := slices.Clone(ours.Slots)
	for i := range slots {
		slots[i].KeyID = theirs.Record.KeyID
	}
	v, err = Load("5f", theirs.Record, slots)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Unlock(passphrase); !errors.Is(err, ErrWrongSecret) {
		t.Errorf("Unlock with our slots beside their record = %v, want ErrWrongSecret", err)
	}
}

func TestWordList(t *testing.T) {
	l := wordList()
	if len(l.words) != wordCount {
		t.Fatalf("the list has %d words, want %d", len(l.words), wordCount)
	}
	for letters, readings := range l.index {
		if len(readings) > 1 && letters != "yoyo" {
			t.Errorf("%q can be read as %d words of the list", letters, len(readings))
		}
	}
	if l.words[0] != "abacus" || l.words[wordCount-1] != "zoom" || l.words[wordCount/6] != "coping" {
		t.Errorf("the list runs from %q over %q to %q", l.words[0], l.words[wordCount/6], l.words[wordCount-1])
	}
	// Putting hyphenated words together is safe only if the two halves are not
	// both words of the list.
	for pair := range l.parts {
		first, second, _ := strings.Cut(pair, " ")
		_, one := l.index[first]
		_, two := l.index[second]
		if one && two {
			t.Errorf("%q can be read as one word and as two", pair)
		}
	}
	for _, w := range l.words {
		if _, ok := l.index[strings.Join(letters(w), "")]; !ok {
			t.Errorf("%q is not found by its letters", w)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"zoom", "zoom", 0}, {"zoom", "zoo", 1}, {"zoom", "room", 1}, {"zomo", "zoom", 1},
		{"abcd", "badc", 2}, {"", "ab", 2}, {"a", "abcdef", maxDistance + 1},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// The eight digits carry the 103 bits without loss, also at the ends.
func TestCodeEncodingBounds(t *testing.T) {
	limit := new(big.Int).Lsh(big.NewInt(1), codeBits+checksumBits)
	room := new(big.Int).Exp(big.NewInt(wordCount), big.NewInt(CodeWords), nil)
	if limit.Cmp(room) > 0 {
		t.Fatalf("2^%d codes do not fit into eight words", codeBits+checksumBits)
	}
	var most Code
	for i := range most.b {
		most.b[i] = 0xff
	}
	most.b[0] = 0x07 // 91 bits
	for _, c := range []Code{{}, most} {
		got, err := ParseCode(strings.Join(c.Words(), " "))
		if err != nil || got != c {
			t.Errorf("ParseCode(Words(%x)) = %x, %v", c.b, got.b, err)
		}
	}
	if _, err := ParseCode(strings.Repeat("zoom ", 8)); err == nil {
		t.Error("ParseCode took a number above 2^103")
	}
	if _, ok := codeFromValue(limit); ok {
		t.Error("codeFromValue took 2^103")
	}
}
