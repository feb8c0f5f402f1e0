// Package chaos kills things: the program while it sends and while it takes
// reports in, and PostgreSQL under it. What is tested is the built program in
// a process of its own, beside a real SMTP server and a real cluster, and what
// it promises: nothing acknowledged is lost, nothing is there twice, nothing
// is called sent that was not, and what nobody can know is called uncertain.
//
// With POSTERN_SOAK=1 there are more rounds, and deadlines are waited for.
package chaos

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postern/internal/disclosure"
	"postern/internal/pgp"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/postgres/postgrestest"
	"postern/internal/publish"
)

func TestMain(m *testing.M) {
	code := pgtest.Main(m)
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// soak makes a test longer.
var soak = os.Getenv("POSTERN_SOAK") != ""

// built is the program, made once for all tests, without the race detector;
// or the one that POSTERN_BINARY names.
var built struct {
	once sync.Once
	dir  string
	path string
	err  error
}

func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.path = os.Getenv("POSTERN_BINARY"); built.path != "" {
			return
		}
		root, err := filepath.Abs("../../..")
		if err != nil {
			built.err = err
			return
		}
		if built.dir, built.err = os.MkdirTemp("", "postern-chaos-"); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "postern")
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/postern")
		cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatalf("build the program: %v", built.err)
	}
	return built.path
}

// settled gives a world what a running instance has: a team key, and the
// documents of its gate.
func settled(t *testing.T, w *postgrestest.World) *postgrestest.World {
	t.Helper()
	ctx := t.Context()
	key, _, err := pgp.NewTeam("Lantern security", "security@lantern.example", w.DB.Now())
	if err != nil {
		t.Fatalf("make a team key: %v", err)
	}
	cert := key.Certificate()
	if err := w.DB.StoreTeamKey(ctx, w.Ada, cert.Fingerprint(), cert.Binary(), key.Bytes()); err != nil {
		t.Fatalf("store the team key: %v", err)
	}
	r := publish.Renderer{Version: "chaos", Now: w.DB.Now}
	if err := w.DB.PublishSite(ctx, disclosure.System("site"), r.Render); err != nil {
		t.Fatalf("render the site: %v", err)
	}
	return w
}

// program is one run of it.
type program struct {
	cmd   *exec.Cmd
	gate  string // URL
	desk  string // URL
	mail  string // address
	lmtp  bool   // what is spoken there
	ended chan struct{}

	mu   sync.Mutex
	said bytes.Buffer
}

// place is what stays of an installation while its program comes and goes.
type place struct {
	w        *postgrestest.World
	data     string
	unlocked bool
	lmtp     bool
	env      []string
}

func newPlace(t *testing.T, w *postgrestest.World, env ...string) *place {
	t.Helper()
	dir := t.TempDir()
	secret := filepath.Join(dir, "passphrase")
	if err := os.WriteFile(secret, []byte(postgrestest.Passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &place{w: w, data: filepath.Join(dir, "var"), unlocked: true}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "POSTERN_") && !strings.HasPrefix(v, "PG") {
			p.env = append(p.env, v)
		}
	}
	p.env = append(append(p.env, "POSTERN_DATA="+p.data, "POSTERN_DATABASE_URL="+w.DeskURL, "POSTERN_GATE_DATABASE_URL="+w.GateURL,
		"POSTERN_GATE_ADDR=127.0.0.1:0", "POSTERN_DESK_ADDR=127.0.0.1:0", "POSTERN_MAIL_ADDR=127.0.0.1:0",
		// Reporters of a test come from many addresses, as its headers say.
		"POSTERN_TRUSTED_PROXIES=127.0.0.1", "SECRET="+secret), env...)
	return p
}

// start runs the program and returns once it says that it is ready.
func (p *place) start(t *testing.T) *program {
	t.Helper()
	r := &program{cmd: exec.Command(binary(t), "serve"), ended: make(chan struct{}), lmtp: p.lmtp}
	r.cmd.Env = p.env[:len(p.env):len(p.env)]
	if p.lmtp {
		r.cmd.Env = append(r.cmd.Env, "POSTERN_MAIL_LMTP=true")
	}
	if p.unlocked {
		for _, v := range p.env {
			if file, ok := strings.CutPrefix(v, "SECRET="); ok {
				r.cmd.Env = append(r.cmd.Env, "POSTERN_PASSPHRASE_FILE="+file)
			}
		}
	}
	r.cmd.Stderr = r
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatalf("start the program: %v", err)
	}
	t.Cleanup(func() { r.kill() })
	ready := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			line := lines.Text()
			_, _ = r.Write([]byte(line + "\n"))
			switch word, rest, _ := strings.Cut(line, " "); word {
			case "gate":
				r.gate = strings.TrimSpace(rest)
			case "desk":
				r.desk = strings.TrimSpace(rest)
			case "mail":
				r.mail = strings.TrimSpace(rest)
			case "ready":
				close(ready)
			}
		}
		_ = r.cmd.Wait()
		close(r.ended)
	}()
	select {
	case <-ready:
	case <-r.ended:
		t.Fatalf("the program ended at its start: %s", r.words())
	case <-time.After(30 * time.Second):
		t.Fatalf("the program is not ready after 30 s: %s", r.words())
	}
	return r
}

// Write keeps what the program says, up to a size.
func (r *program) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said.Len() < 64<<10 {
		r.said.Write(b)
	}
	return len(b), nil
}

func (r *program) words() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.String()
}

// kill ends it as a power cut would, and waits until it is gone.
func (r *program) kill() {
	select {
	case <-r.ended:
		return
	default:
	}
	_ = r.cmd.Process.Signal(syscall.SIGKILL)
	<-r.ended
}

// alive fails the test when the program has ended by itself.
func (r *program) alive(t *testing.T) {
	t.Helper()
	select {
	case <-r.ended:
		t.Fatalf("the program ended by itself: %s", r.words())
	default:
	}
}

// eventually asks until the answer is yes; what says what it waits for.
func eventually(t *testing.T, limit time.Duration, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("after %s still not: %s", limit, what)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// quiet waits until no session but ours is in the middle of something: what a
// killed program had begun is then committed or gone.
func quiet(t *testing.T, w *postgrestest.World) {
	t.Helper()
	calm := 0
	eventually(t, 10*time.Second, "the killed program's sessions are gone", func() bool {
		var busy int
		err := w.DB.Pool().QueryRow(context.Background(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'`).Scan(&busy)
		if err != nil || busy > 0 {
			calm = 0
			return false
		}
		calm++
		return calm >= 3
	})
}
