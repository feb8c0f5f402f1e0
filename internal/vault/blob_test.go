package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"postern/internal/vault"
)

type chunks [][]byte

func (c chunks) next(n int) ([]byte, error) {
	if n >= len(c) {
		return nil, io.EOF
	}
	return c[n], nil
}

func sealBlob(t testing.TB, k vault.Key, at vault.AAD, plain []byte) chunks {
	t.Helper()
	var out chunks
	w := k.SealBlob(at, func(n int, sealed []byte) error {
		if n != len(out) {
			return fmt.Errorf("chunk %d came after %d", n, len(out))
		}
		out = append(out, sealed)
		return nil
	})
	if _, err := w.Write(plain); err != nil {
		t.Fatalf("Write: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return out
}

// Around every border of chunk and bucket.
func TestBlobSizes(t *testing.T) {
	k := vault.NewKey()
	const data = 64<<10 - 4
	for _, n := range []int{0, 1, 4091, 4092, 4093, data - 1, data, data + 1, 2*data - 1, 2 * data, 2*data + 1, 1 << 20, 1<<20 + 12345} {
		plain := make([]byte, n)
		for i := range plain {
			plain[i] = byte(i * 7)
		}
		sealed := sealBlob(t, k, place, plain)
		total := 0
		for _, c := range sealed {
			total += len(c)
			if len(c) > vault.MaxBlobChunk {
				t.Errorf("blob of %d bytes has a chunk of %d", n, len(c))
			}
		}
		framed := n + 4*max(1, (n+data-1)/data)
		if want := vault.Bucket(framed, 4096) + 32 + 16*len(sealed); total != want {
			t.Errorf("blob of %d bytes has %d sealed, want %d", n, total, want)
		}
		got, err := io.ReadAll(k.OpenBlob(place, sealed.next))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("OpenBlob of %d bytes = %d bytes, %v", n, len(got), err)
		}
	}
}

func TestBlobReaderAndWriterKeepTheContracts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		k := vault.NewKey()
		plain := bytes.Repeat([]byte("0123456789"), rapid.IntRange(0, 15000).Draw(rt, "tens"))
		var out chunks
		w := k.SealBlob(place, func(_ int, sealed []byte) error { out = append(out, sealed); return nil })
		for rest := plain; len(rest) > 0; {
			n := min(len(rest), rapid.IntRange(0, 70000).Draw(rt, "write"))
			if m, err := w.Write(rest[:n]); m != n || err != nil {
				rt.Fatalf("Write of %d = %d, %v", n, m, err)
			}
			rest = rest[n:]
		}
		if err := errors.Join(w.Close(), w.Close()); err != nil {
			rt.Fatalf("Close twice: %v", err)
		}
		if err := iotest.TestReader(k.OpenBlob(place, out.next), plain); err != nil {
			rt.Fatal(err)
		}
	})
}

// Every way to change the row of chunks is found, and nothing at or after the
// fault is given out.
func TestBlobTampering(t *testing.T) {
	const data = 64<<10 - 4
	k := vault.NewKey()
	plain := bytes.Repeat([]byte("abcdefgh"), 3*data/8+100) // four chunks with data
	sealed := sealBlob(t, k, place, plain)
	if len(sealed) != 4 {
		t.Fatalf("the blob has %d chunks, want 4", len(sealed))
	}
	again := sealBlob(t, k, place, plain)
	elsewhere := place
	elsewhere.Row = "r2"
	moved := sealBlob(t, k, elsewhere, plain)

	with := func(change func(c chunks) chunks) chunks { return change(slices.Clone(sealed)) }
	swap := func(i, j int) chunks {
		return with(func(c chunks) chunks { c[i], c[j] = c[j], c[i]; return c })
	}
	put := func(i int, b []byte) chunks {
		return with(func(c chunks) chunks { c[i] = b; return c })
	}
	cases := []struct {
		name   string
		chunks chunks
		good   int // chunks before the fault
	}{
		{"no chunk", nil, 0},
		{"last missing", sealed[:3], 2},
		{"two missing", sealed[:2], 1},
		{"first missing", sealed[1:], 0},
		{"middle missing", with(func(c chunks) chunks { return append(c[:1], c[2:]...) }), 1},
		{"swapped", swap(1, 2), 1},
		{"last before its place", swap(2, 3), 2},
		{"last twice", append(slices.Clone(sealed), sealed[3]), 3},
		{"a chunk more", append(slices.Clone(sealed), sealed[1]), 3},
		{"an empty chunk more", append(slices.Clone(sealed), nil), 3},
		{"salt changed", put(0, flip(sealed[0], 3)), 0},
		{"first changed", put(0, flip(sealed[0], 40)), 0},
		{"tag changed", put(1, flip(sealed[1], len(sealed[1])-1)), 1},
		{"chunk cut", put(2, sealed[2][:100]), 2},
		{"chunk empty", put(2, nil), 2},
		{"first shorter than its salt", put(0, sealed[0][:10]), 0},
		{"chunk of an earlier writing", put(1, again[1]), 1},
		{"chunk of another row", put(1, moved[1]), 1},
		{"blob of another row", moved, 0},
	}
	for _, c := range cases {
		got, err := io.ReadAll(k.OpenBlob(place, c.chunks.next))
		if !errors.Is(err, vault.ErrOpen) {
			t.Errorf("%s: read = %v, want ErrOpen", c.name, err)
		}
		if want := plain[:c.good*data]; !bytes.Equal(got, want) {
			t.Errorf("%s: read %d bytes, want the %d before the fault", c.name, len(got), len(want))
		}
	}
	for name, at := range otherPlaces() {
		if got, err := io.ReadAll(k.OpenBlob(at, sealed.next)); !errors.Is(err, vault.ErrOpen) || len(got) != 0 {
			t.Errorf("another %s: read %d bytes, %v, want ErrOpen", name, len(got), err)
		}
	}
	if got, err := io.ReadAll(vault.NewKey().OpenBlob(place, sealed.next)); !errors.Is(err, vault.ErrOpen) || len(got) != 0 {
		t.Errorf("another key: read %d bytes, %v, want ErrOpen", len(got), err)
	}
}

func TestBlobPassesOnTheStoresErrors(t *testing.T) {
	gone := errors.New("connection lost")
	k := vault.NewKey()
	w := k.SealBlob(place, func(n int, _ []byte) error {
		if n == 1 {
			return gone
		}
		return nil
	})
	if _, err := w.Write(make([]byte, 1<<20)); !errors.Is(err, gone) {
		t.Errorf("Write = %v, want the store's error", err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, gone) {
		t.Errorf("a further Write = %v, want the store's error", err)
	}
	if err := w.Close(); !errors.Is(err, gone) {
		t.Errorf("Close = %v, want the store's error", err)
	}

	sealed := sealBlob(t, k, place, make([]byte, 200<<10))
	r := k.OpenBlob(place, func(n int) ([]byte, error) {
		if n == 2 {
			return nil, gone
		}
		return sealed.next(n)
	})
	if _, err := io.ReadAll(r); !errors.Is(err, gone) || errors.Is(err, vault.ErrOpen) {
		t.Errorf("read = %v, want the store's error and not ErrOpen", err)
	}

	closed := k.SealBlob(place, func(int, []byte) error { return nil })
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := closed.Write([]byte("x")); err == nil {
		t.Error("Write to a closed blob gave no error")
	}
}

// Whatever is done to the stored bytes, a reader gets a beginning of the blob
// and an error, or the blob.
func FuzzOpenBlob(f *testing.F) {
	k := vault.NewKey()
	plain := bytes.Repeat([]byte("0123456789abcdef"), 9000) // three chunks
	sealed := sealBlob(f, k, place, plain)
	f.Add(uint8(0), uint16(0), uint8(0), uint8(0))
	f.Add(uint8(1), uint16(40), uint8(1), uint8(3))
	f.Add(uint8(2), uint16(65000), uint8(0xff), uint8(1))
	f.Add(uint8(0), uint16(5), uint8(0), uint8(2))
	f.Fuzz(func(t *testing.T, at uint8, offset uint16, mask, count uint8) {
		c := slices.Clone(sealed[:min(int(count), len(sealed))])
		if len(c) > 0 {
			i := int(at) % len(c)
			c[i] = bytes.Clone(c[i])
			c[i][int(offset)%len(c[i])] ^= mask
		}
		whole := mask == 0 && len(c) == len(sealed)
		got, err := io.ReadAll(k.OpenBlob(place, c.next))
		if !bytes.HasPrefix(plain, got) || whole != (err == nil) || whole != (len(got) == len(plain)) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
	})
}

// Bytes nobody sealed.
func FuzzOpenBlobGarbage(f *testing.F) {
	k := vault.NewKey()
	f.Add([]byte{}, []byte{})
	f.Add(make([]byte, 48), make([]byte, 16))
	f.Add(make([]byte, 31), []byte{1})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, c := range []chunks{{a}, {a, b}} {
			if got, err := io.ReadAll(k.OpenBlob(place, c.next)); !errors.Is(err, vault.ErrOpen) || len(got) != 0 {
				t.Errorf("read %d bytes, %v, want ErrOpen", len(got), err)
			}
		}
		if got, err := k.Open(place, a); !errors.Is(err, vault.ErrOpen) {
			t.Errorf("Open = %x, %v, want ErrOpen", got, err)
		}
	})
}

func BenchmarkSealBlob(b *testing.B) {
	k, plain := vault.NewKey(), make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		sealBlob(b, k, place, plain)
	}
}
