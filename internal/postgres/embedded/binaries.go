package embedded

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

type binaries struct {
	dir   string
	major int
}

// packaged are the folders of distributions' server packages: Debian's, Red Hat's, Alpine's.
var packaged = []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/libexec/postgresql*"}

// findBin chooses server programs: those of the data's major version when there is data, else the newest.
func findBin(given, data string) (binaries, error) {
	found := installed(given)
	if len(found) == 0 {
		return binaries{}, ErrNotInstalled
	}
	want, err := dataMajor(data)
	if err != nil {
		return binaries{}, err
	}
	for _, b := range found {
		if b.major == want || want == 0 && b.major >= minMajor {
			return b, nil
		}
	}
	if want == 0 {
		return binaries{}, fmt.Errorf("PostgreSQL %d is too old, version %d or newer is needed", found[0].major, minMajor)
	}
	return binaries{}, fmt.Errorf("the data in %s was written by PostgreSQL %d, installed is %d: install it again with: apt-get install postgresql-%d; or move the data on with pg_upgrade --old-datadir %s (see the PostgreSQL manual, pg_upgrade)",
		data, want, found[0].major, want, data)
}

// dataMajor is the version that wrote the data; 0 when there is none.
func dataMajor(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the version of the data: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("%s/PG_VERSION holds %q, which is no version", data, b)
	}
	return major, nil
}

// installed lists the usable folders, newest first.
func installed(given string) []binaries {
	var dirs []string
	if given != "" {
		dirs = []string{given}
	} else {
		for _, pattern := range packaged {
			match, _ := filepath.Glob(pattern)
			dirs = append(dirs, match...)
		}
		if path, err := exec.LookPath("postgres"); err == nil {
			// initdb looks for postgres beside itself: follow the links to where both are.
			if real, err := filepath.EvalSymlinks(path); err == nil {
				dirs = append(dirs, filepath.Dir(real))
			}
		}
	}
	var found []binaries
	seen := map[string]bool{}
	for _, dir := range dirs {
		if seen[dir] {
			continue
		}
		seen[dir] = true
		if major := serverMajor(dir); major > 0 {
			found = append(found, binaries{dir, major})
		}
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].major > found[j].major })
	return found
}

var versionNumber = regexp.MustCompile(`\) (\d+)`)

// serverMajor asks the program itself; 0 when the folder does not hold both programs.
func serverMajor(dir string) int {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return 0
	}
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0
	}
	m := versionNumber.FindSubmatch(out)
	if m == nil {
		return 0
	}
	major, _ := strconv.Atoi(string(m[1]))
	return major
}
