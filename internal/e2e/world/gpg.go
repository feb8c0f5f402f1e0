package world

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Need skips the test where a program is not installed.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skip(p + " not installed")
		}
	}
}

// GPG is one person's GnuPG.
type GPG struct {
	T    testing.TB
	Home string
	Now  func() time.Time // nil: wall time
}

// NewGPG makes an empty home that goes with the test.
func NewGPG(t testing.TB) *GPG {
	t.Helper()
	Need(t, "gpg")
	home, err := os.MkdirTemp("/tmp", "g") // agent sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	return &GPG{T: t, Home: home}
}

// Try runs gpg and returns what it wrote, its status lines, and its exit code.
func (g *GPG) Try(stdin []byte, args ...string) (out []byte, status string, code int) {
	g.T.Helper()
	status3, err := os.CreateTemp("", "status")
	if err != nil {
		g.T.Fatal(err)
	}
	defer os.Remove(status3.Name())
	defer status3.Close()
	all := []string{"--homedir", g.Home, "--batch", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "", "--status-fd", "3"}
	if g.Now != nil {
		all = append(all, "--faked-system-time", g.Now().UTC().Format("20060102T150405")+"!")
	}
	cmd := exec.Command("gpg", append(all, args...)...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.ExtraFiles = []*os.File{status3}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		g.T.Fatalf("gpg %s: %v", strings.Join(args, " "), err)
	}
	b, err := os.ReadFile(status3.Name())
	if err != nil {
		g.T.Fatal(err)
	}
	code = cmd.ProcessState.ExitCode()
	if code != 0 {
		g.T.Logf("gpg %s: exit %d\n%s", strings.Join(args, " "), code, stderr.String())
	}
	return stdout.Bytes(), string(b), code
}

// Run is Try that fails the test unless gpg ends with 0.
func (g *GPG) Run(stdin []byte, args ...string) (out []byte, status string) {
	g.T.Helper()
	out, status, code := g.Try(stdin, args...)
	if code != 0 {
		g.T.Fatalf("gpg %s: exit %d, want 0\n%s", strings.Join(args, " "), code, status)
	}
	return out, status
}

// NewKey makes a key pair and returns its armored certificate.
func (g *GPG) NewKey(user string) []byte {
	g.T.Helper()
	g.Run(nil, "--quick-generate-key", user, "future-default", "default", "never")
	out, _ := g.Run(nil, "--armor", "--export", user)
	return out
}

// Prints lists the fingerprints of all keys and subkeys of a certificate in
// the home.
func (g *GPG) Prints(user string) []string {
	g.T.Helper()
	out, _ := g.Run(nil, "--with-colons", "--list-keys", user)
	var list []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(line, ":"); f[0] == "fpr" && len(f) > 9 {
			list = append(list, f[9])
		}
	}
	return list
}
