package vault_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"postern/internal/vault"
)

// TestSpool: what goes in comes out, more than once, and no word of it lies in
// the folder.
func TestSpool(t *testing.T) {
	for _, size := range []int{0, 1, vault.SpoolMemory, vault.SpoolMemory + 1, 5 << 20} {
		dir := t.TempDir()
		s := vault.NewSpool(dir)
		want := bytes.Repeat([]byte("canary!"), size/7+1)[:size]
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 100_000)
			if _, err := s.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%d bytes: %d files have a name, %v", size, len(left), err)
		}
		for range 2 {
			r, err := s.Reader()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) || s.Size() != int64(size) {
				t.Errorf("%d bytes came back as %d of %d, %v", size, len(got), s.Size(), err)
			}
		}
		s.Close()
		s.Close()
	}
	s := vault.NewSpool(t.TempDir() + "/none")
	_, err := s.Write(make([]byte, vault.SpoolMemory+1))
	if _, again := s.Write([]byte("x")); !errors.Is(err, vault.ErrSpool) || !errors.Is(again, vault.ErrSpool) {
		t.Errorf("without a folder: %v, then %v; want ErrSpool", err, again)
	}
	if _, err := s.Reader(); !errors.Is(err, vault.ErrSpool) {
		t.Errorf("Reader after that: %v, want ErrSpool", err)
	}
}
