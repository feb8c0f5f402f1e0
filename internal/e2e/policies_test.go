package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// promised are the rows that must have an end-to-end test named after them.
var promised = strings.Fields("D2 D3 D4 D5 D7 D8 D9 D48 C3 C4 C5 C6 C7 C8 C9 C10 C11 C13")

var (
	testFunc   = regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	namedTests = regexp.MustCompile("`([a-z0-9/]+)` (Test\\w+(?:, Test\\w+)*)")
)

// TestPoliciesNameTheirTests: docs/policies.md maps each row to tests that are
// there, and each promised row to an end-to-end test named after it.
func TestPoliciesNameTheirTests(t *testing.T) {
	there := map[string]map[string]bool{} // by folder below internal
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../")
		if there[pkg] == nil {
			there[pkg] = map[string]bool{}
		}
		for _, m := range testFunc.FindAllSubmatch(b, -1) {
			there[pkg][string(m[1])] = true
		}
		return nil
	})
	check(t, err)
	page, err := os.ReadFile("../../docs/policies.md")
	check(t, err)
	rows := map[string][]string{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !regexp.MustCompile(`^[DC][0-9]+$`).MatchString(strings.TrimSpace(cells[1])) {
			continue
		}
		row := strings.TrimSpace(cells[1])
		for _, m := range namedTests.FindAllStringSubmatch(cells[3], -1) {
			for _, name := range strings.Split(m[2], ", ") {
				if !there[m[1]][name] {
					t.Errorf("docs/policies.md, row %s: there is no %s in internal/%s", row, name, m[1])
				}
				if m[1] == "e2e" || strings.HasPrefix(m[1], "e2e/") {
					rows[row] = append(rows[row], name)
				}
			}
		}
		if strings.Contains(strings.ToLower(line), "not yet") {
			t.Errorf("docs/policies.md, row %s: not yet", row)
		}
	}
	for _, row := range promised {
		after := regexp.MustCompile(`^Test` + row + `[A-Z]`)
		found := false
		for _, name := range rows[row] {
			found = found || after.MatchString(name)
		}
		if !found {
			t.Errorf("docs/policies.md names no end-to-end test after row %s: %q", row, rows[row])
		}
	}
}
