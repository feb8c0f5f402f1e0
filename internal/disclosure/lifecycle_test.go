package disclosure_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "postern/internal/disclosure"
)

var update = flag.Bool("update", false, "write docs/lifecycle.md again")

func TestLifecycleDocument(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "lifecycle.md")
	if *update {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(Lifecycle()), 0o644))
	}
	got, err := os.ReadFile(path)
	must(t, err)
	if diff := cmp.Diff(Lifecycle(), string(got)); diff != "" {
		t.Errorf("docs/lifecycle.md is not what the maps say; run go test ./internal/disclosure -run Lifecycle -update (-maps +file):\n%s", diff)
	}
}
