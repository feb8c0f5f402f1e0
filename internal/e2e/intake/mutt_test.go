package intake

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/e2e/world"
)

// mutt is a reporter's mail program with gpg behind it, as people have it: the
// keys found in the ring, the mail composed on a terminal and sent by SMTP.
type mutt struct {
	gpg *world.GPG
	dir string
	at  string // where mail is taken
}

// newMutt believes the team's key, as somebody who compared its fingerprint.
func newMutt(t *testing.T, g *world.GPG, me, team, at string) *mutt {
	t.Helper()
	g.Run(nil, "--yes", "-u", me, "--quick-lsign-key", team)
	return &mutt{gpg: g, dir: t.TempDir(), at: at}
}

// send composes a mail on a terminal with these settings and presses y.
func (m *mutt) send(t *testing.T, settings, subject, text string, files map[string]string) {
	t.Helper()
	rc := `set realname="Finn Finder"
set from="finn@finder.example"
set use_from=yes
set hostname="finder.example"
set smtp_url="smtp://` + m.at + `/"
set ssl_starttls=no ssl_force_tls=no
set copy=no
set record=""
set editor="/bin/true"
set autoedit=yes
set edit_headers=yes
set abort_unmodified=no
set folder="` + m.dir + `"
set spoolfile="/dev/null"
set crypt_use_gpgme=yes
set crypt_protected_headers_write=yes
set pgp_sign_as="finn@finder.example"
set pgp_default_key="finn@finder.example"
` + settings + "\n"
	write := func(name, content string) string {
		at := filepath.Join(m.dir, name)
		must(t, os.WriteFile(at, []byte(content), 0o600))
		return at
	}
	command := fmt.Sprintf("exec mutt -F %s -H %s", write("muttrc", rc), write("draft", "To: "+address+"\nSubject: "+subject+"\n\n"+text))
	for name, content := range files {
		command += " -a " + write(name, content)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "script", "-qec", command, "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm", "LC_ALL=C.UTF-8", "GNUPGHOME="+m.gpg.Home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	keys, err := cmd.StdinPipe()
	must(t, err)
	screen := &screen{seen: make(chan struct{}), give: cancel}
	cmd.Stdout, cmd.Stderr = screen, screen
	must(t, cmd.Start())
	select {
	case <-screen.seen:
		if _, err := keys.Write([]byte("y")); err != nil {
			t.Fatalf("press y: %v", err)
		}
	case <-ctx.Done():
	}
	err = cmd.Wait()
	if !strings.Contains(screen.b.String(), "Mail sent") {
		t.Fatalf("mutt sent nothing: %v\n%q", err, screen.b.String())
	}
}

// screen is what mutt draws; seen is closed once it waits
// for a key; what failed it gives up, else mutt would wait for another key.
type screen struct {
	b    bytes.Buffer
	seen chan struct{}
	told bool
	give func() // gives up
}

func (s *screen) Write(p []byte) (int, error) {
	s.b.Write(p)
	if !s.told && bytes.Contains(s.b.Bytes(), []byte("Mutt: Compose")) {
		s.told = true
		close(s.seen)
	}
	if bytes.Contains(p, []byte("failed")) {
		s.give()
	}
	return len(p), nil
}
