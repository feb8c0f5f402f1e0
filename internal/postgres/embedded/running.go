package embedded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// ErrNotRunning: nobody runs the cluster of that folder.
var ErrNotRunning = errors.New("the private PostgreSQL does not run: start postern serve first")

// RunningGate is the gate's connection string to the cluster in dir, as
// another program on this machine started it, for the user who owns it and for
// root. The pid file names the socket's folder in its fifth line
// (PostgreSQL's miscadmin.h).
func RunningGate(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", ErrNotRunning
	}
	for _, at := range []string{dir, filepath.Join(fallbackBase, folderHash(resolved(dir)))} {
		b, err := os.ReadFile(filepath.Join(at, "data", "postmaster.pid"))
		if errors.Is(err, os.ErrPermission) {
			return "", errors.New("the private PostgreSQL belongs to another user: run as that user, or set POSTERN_GATE_DATABASE_URL")
		}
		if err != nil {
			continue
		}
		if lines := strings.Split(string(b), "\n"); len(lines) > 4 && filepath.IsAbs(strings.TrimSpace(lines[4])) {
			return (&Cluster{run: strings.TrimSpace(lines[4])}).Gate(), nil
		}
	}
	return "", ErrNotRunning
}
