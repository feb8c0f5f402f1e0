package instance

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAskTrustsNoFolderOthersCanEnter(t *testing.T) {
	data := t.TempDir()
	if err := Ask(t.Context(), data, "unlock", nil, nil); !errors.Is(err, ErrNotRunning) {
		t.Fatalf("Ask() with no socket = %v, want ErrNotRunning", err)
	}
	dir := filepath.Dir(socketPath(data))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // what the test is about
		t.Fatal(err)
	}
	if err := Ask(t.Context(), data, "unlock", nil, nil); err == nil || !strings.Contains(err.Error(), "not ours alone") {
		t.Errorf("Ask() over a folder others can enter = %v, want a refusal", err)
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a folder needs the x bit
		t.Fatal(err)
	}
	if err := os.WriteFile(socketPath(data), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Ask(t.Context(), data, "unlock", nil, nil); err == nil || !strings.Contains(err.Error(), "is not ours") {
		t.Errorf("Ask() over what is no socket = %v, want a refusal", err)
	}
}
