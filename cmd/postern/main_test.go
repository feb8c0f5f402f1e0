package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postern/internal/postgres/embedded"
)

// The test binary is the program when this variable is set.
const asProgram = "POSTERN_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// shop is a data folder and what runs the program on it.
type shop struct {
	t    *testing.T
	data string
	env  []string
}

func newShop(t *testing.T) *shop {
	t.Helper()
	data, err := os.MkdirTemp("/tmp", "postern-cmd-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(data) })
	if err := os.Chmod(data, 0o711); err != nil { // the private cluster's user passes through
		t.Fatal(err)
	}
	s := &shop{t: t, data: filepath.Join(data, "d")}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "POSTERN_") {
			s.env = append(s.env, v)
		}
	}
	s.env = append(s.env, asProgram+"=1", "POSTERN_DATA="+s.data,
		"POSTERN_GATE_ADDR=127.0.0.1:0", "POSTERN_DESK_ADDR=127.0.0.1:0", "POSTERN_MAIL_ADDR=127.0.0.1:0")
	return s
}

func (s *shop) command(args ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], args...)
	c.Env = s.env
	return c
}

// run gives what the command printed, and its exit code.
func (s *shop) run(stdin string, args ...string) (out, errs string, code int) {
	s.t.Helper()
	c := s.command(args...)
	c.Stdin = strings.NewReader(stdin)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatalf("postern %s: %v", strings.Join(args, " "), err)
	}
	return o.String(), e.String(), c.ProcessState.ExitCode()
}

// good is run that must end with 0.
func (s *shop) good(stdin string, args ...string) string {
	s.t.Helper()
	out, errs, code := s.run(stdin, args...)
	if code != 0 {
		s.t.Fatalf("postern %s ended with %d:\n%s%s", strings.Join(args, " "), code, out, errs)
	}
	return out
}

const passphrase = "twelve lanterns and a gate"

var recoveryLine = regexp.MustCompile(`(?m)^    ([a-z]+(?:[ -][a-z]+)+)$`)

// init answers init's questions as a person would; typed makes what is typed
// of the recovery phrase.
func (s *shop) init(typed func(string) string, args ...string) (out string, code int) {
	s.t.Helper()
	c := s.command(append([]string{"init"}, args...)...)
	in, err := c.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	var errs bytes.Buffer
	c.Stderr = &errs
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	io.WriteString(in, "Lantern\nsecurity@lantern.example\nAda\nada@lantern.example\nshort\n"+passphrase+"\n"+passphrase+"\n")
	var all strings.Builder
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if m := recoveryLine.FindStringSubmatch(lines.Text()); m != nil {
			for range 3 {
				io.WriteString(in, typed(m[1])+"\n")
			}
		}
	}
	in.Close()
	if err := c.Wait(); err != nil {
		all.WriteString(errs.String())
	}
	return all.String(), c.ProcessState.ExitCode()
}

// server is a running serve.
type server struct {
	cmd        *exec.Cmd
	gate, desk string
	mail       string
	mu         sync.Mutex
	errs       bytes.Buffer
}

func (s *server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errs.Write(p)
}

func (s *server) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.errs.String()
}

func (s *shop) serve(args ...string) *server {
	s.t.Helper()
	v := &server{cmd: s.command(append([]string{"serve"}, args...)...)}
	v.cmd.Stderr = v
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { v.cmd.Process.Kill(); v.cmd.Wait() })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch rest = strings.TrimSpace(rest); word {
		case "gate":
			v.gate = rest
		case "desk":
			v.desk = rest
		case "mail":
			v.mail = rest
		case "ready":
			go io.Copy(io.Discard, out)
			return v
		}
	}
	s.t.Fatalf("serve ended without being ready:\n%s", v.said())
	return nil
}

// stop ends it as an operator does, and says how long that took.
func (v *server) stop(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Wait(); err != nil {
		t.Errorf("serve ended with %v:\n%s", err, v.said())
	}
	return time.Since(began)
}

func needPostgres(t *testing.T) {
	t.Helper()
	c, err := embedded.Start(t.Context(), embedded.Config{Dir: filepath.Join(t.TempDir(), "pg"), FsyncOff: true})
	if errors.Is(err, embedded.ErrNotInstalled) {
		t.Skip("postgres not installed")
	}
	if err != nil {
		t.Fatal(err)
	}
	c.Stop()
}

// TestFromInitToUnlock goes an operator's first day: init, serve, a report,
// unlock, and every command beside it.
func TestFromInitToUnlock(t *testing.T) {
	needPostgres(t)
	s := newShop(t)
	if _, errs, code := s.run("", "serve"); code != 1 || !strings.Contains(errs, "postern init") {
		t.Fatalf("serve before init ended with %d and said %q, want it to name postern init", code, errs)
	}
	if out, code := s.init(func(string) string { return "something else" }); code != 1 || !strings.Contains(out, "nothing was stored") {
		t.Fatalf("init with a wrong recovery phrase ended with %d:\n%s", code, out)
	}
	out, code := s.init(strings.ToUpper)
	if code != 0 {
		t.Fatalf("init ended with %d:\n%s", code, out)
	}
	if !strings.Contains(out, "/invite/") {
		t.Errorf("init printed no link for the first member:\n%s", out)
	}
	if info, err := os.Stat(filepath.Join(s.data, "revocation.asc")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("revocation certificate: %v, %v; want a file for its owner alone", info, err)
	}
	if out, code := s.init(strings.ToLower); code != 1 || !strings.Contains(out, "belongs to an instance already") {
		t.Errorf("a second init ended with %d:\n%s", code, out)
	}
	if out, errs, code := s.run("", "unlock"); code != 1 || !strings.Contains(errs, "postern serve") {
		t.Errorf("unlock while nothing runs ended with %d: %s%s", code, out, errs)
	}

	v := s.serve()
	for url, want := range map[string]int{v.gate + "/": 200, v.gate + "/readyz": 200, v.gate + "/nothing": 404, v.desk + "/inbox": 303} {
		if got := status(t, url); got != want {
			t.Errorf("GET %s answers %d, want %d", url, got, want)
		}
	}
	report(t, v.gate, "The lantern leaks: canary in the report")
	sendMail(t, v.mail, "From: finn@finder.example\r\nTo: security@lantern.example\r\nSubject: canary by mail\r\n\r\nIt leaks.\r\n")

	out, _, code = s.run("", "doctor")
	if code != 1 || !strings.Contains(out, "Ada's invitation waits until") || !strings.Contains(out, "The vault is locked") || !strings.Contains(out, "2 arrivals wait") || !strings.Contains(out, "postern unlock") {
		t.Errorf("doctor while locked ended with %d:\n%s", code, out)
	}
	if out, errs, code := s.run("wrong and long enough\n", "unlock"); code != 1 || !strings.Contains(errs, "no slot") {
		t.Errorf("unlock with a wrong passphrase ended with %d: %s%s", code, out, errs)
	}
	if out := s.good(passphrase+"\n", "unlock"); !strings.Contains(out, "unlocked") {
		t.Errorf("unlock said %q", out)
	}
	waitFor(t, func() bool { out, _, _ := s.run("", "doctor"); return strings.Contains(out, "No arrival waits") })

	if out := s.good("", "member", "invite", "Tri", "tri@lantern.example", "--role", "triager"); !strings.HasPrefix(out, v.desk+"/invite/") {
		t.Errorf("member invite printed %q, want a link to %s", out, v.desk)
	}
	if out := s.good("", "member", "list"); !strings.Contains(out, "tri@lantern.example") || !strings.Contains(out, "invited until") {
		t.Errorf("member list:\n%s", out)
	}
	if out := s.good("", "member", "disable", "tri"); !strings.Contains(out, "disabled") {
		t.Errorf("member disable: %s", out)
	}
	if out := s.good("", "log", "verify"); !strings.Contains(out, "The log is whole") {
		t.Errorf("log verify: %s", out)
	}
	policies(t, s, v)
	if said := v.said(); strings.Contains(said, "canary") || strings.Contains(said, passphrase) || strings.Contains(said, "finn@") {
		t.Errorf("the program's log holds what nobody may read there:\n%s", said)
	}
	if took := v.stop(t); took > 15*time.Second {
		t.Errorf("stopping took %s", took)
	}

	// With nothing running, commands open the database themselves.
	if out := s.good("", "member", "list"); !strings.Contains(out, "disabled") {
		t.Errorf("member list with nothing running:\n%s", out)
	}
	keys(t, s)
	if out, _, code := s.run("", "doctor"); code != 1 || !strings.Contains(out, "No Postern runs") {
		t.Errorf("doctor with nothing running ended with %d:\n%s", code, out)
	}
	file := filepath.Join(s.data, "passphrase")
	if err := os.WriteFile(file, []byte(passphrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v = s.serve("--passphrase-file", file)
	if out := s.good("", "unlock"); !strings.Contains(out, "already") {
		t.Errorf("unlock after a start with a passphrase file: %s", out)
	}
	if out := s.good("", "lock"); !strings.Contains(out, "locked") {
		t.Errorf("lock: %s", out)
	}
	v.stop(t)
}

// policies: what is wrong is named by line, and a new promise is on the page.
func policies(t *testing.T, s *shop, v *server) {
	t.Helper()
	file := filepath.Join(s.data, "policy.toml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[project]\nname = \"Lantern\"\n[contact]\naddres = \"security@lantern.example\"\n")
	for _, args := range [][]string{{"policy", "check", file}, {"policy", "apply", file}} {
		if _, errs, code := s.run("", args...); code != 1 || !strings.Contains(errs, file+":4:") {
			t.Errorf("postern %s of a broken file ended with %d: %s", strings.Join(args, " "), code, errs)
		}
	}
	write("[project]\nname = \"Lantern\"\n[contact]\naddress = \"security@lantern.example\"\n[ack]\nwithin = \"51h\"\n")
	s.good("", "policy", "check", file)
	if out := s.good("", "policy", "apply", file); !strings.Contains(out, "Policy 2 is in force") {
		t.Errorf("policy apply: %s", out)
	}
	if out := s.good("", "policy", "show"); !strings.Contains(out, `within = "51h"`) {
		t.Errorf("policy show: %s", out)
	}
	waitFor(t, func() bool { return strings.Contains(get(t, v.gate+"/"), "51 hours") })
	for _, name := range strings.Fields(s.good("", "policy", "presets")) {
		write(s.good("", "policy", "presets", name))
		s.good("", "policy", "check", file)
	}
}

// keys: an exported key is the one that is imported again.
func keys(t *testing.T, s *shop) {
	t.Helper()
	before := s.good("", "key", "show", "--armor")
	exported := s.good("for the file\n"+passphrase+"\n", "key", "export")
	if !strings.Contains(exported, "BEGIN PGP PRIVATE KEY BLOCK") {
		t.Fatalf("key export:\n%s", exported)
	}
	file := filepath.Join(s.data, "key.asc")
	if err := os.WriteFile(file, []byte(exported), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := s.good("for the file\n"+passphrase+"\n", "key", "import", file); strings.Contains(out, "Retired") {
		t.Errorf("the same key imported again retired itself:\n%s", out)
	}
	if after := s.good("", "key", "show", "--armor"); after != before {
		t.Error("the certificate is another after export and import")
	}
	renewed := s.good(passphrase+"\n", "key", "renew")
	if n := strings.Count(renewed, " signs until "); n != 2 {
		t.Errorf("after key renew %d keys sign, want the old and the new one:\n%s", n, renewed)
	}
}

func status(t *testing.T, url string) int {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	r.Body.Close()
	return r.StatusCode
}

func get(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return string(b)
}

func report(t *testing.T, gate, text string) {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"description": text})
	r, err := http.Post(gate+"/api/v1/reports", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusCreated {
		b, _ := io.ReadAll(r.Body)
		t.Fatalf("POST /api/v1/reports answers %s: %s", r.Status, b)
	}
}

// sendMail speaks SMTP by hand, so that nothing of ours checks ours.
func sendMail(t *testing.T, addr, message string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	replies := bufio.NewReader(c)
	expect := func(code string) {
		t.Helper()
		for {
			line, err := replies.ReadString('\n')
			if err != nil {
				t.Fatalf("mail listener: %v", err)
			}
			if len(line) > 3 && line[3] == '-' {
				continue
			}
			if !strings.HasPrefix(line, code) {
				t.Fatalf("mail listener answers %q, want %s", line, code)
			}
			return
		}
	}
	expect("220")
	for _, step := range []struct{ say, want string }{
		{"EHLO finder.example", "250"}, {"MAIL FROM:<finn@finder.example>", "250"}, {"RCPT TO:<security@lantern.example>", "250"},
		{"DATA", "354"}, {message + ".", "250"}, {"QUIT", "221"},
	} {
		io.WriteString(c, step.say+"\r\n")
		expect(step.want)
	}
}

// waitFor asks again and again, for ten seconds at most.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal("it did not happen within ten seconds")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestHelpIsTrue(t *testing.T) {
	s := newShop(t)
	out := s.good("", "--help")
	for _, command := range []string{"serve", "demo", "init", "unlock", "member", "key", "policy", "log", "doctor", "migrate"} {
		if !strings.Contains(out, "\n  "+command) {
			t.Errorf("--help does not name %q:\n%s", command, out)
		}
		if help := s.good("", command, "--help"); !strings.Contains(help, "Usage: postern "+command) {
			t.Errorf("%s --help:\n%s", command, help)
		}
	}
	if _, errs, code := s.run("", "nothing"); code == 0 || errs == "" {
		t.Errorf("an unknown command ended with %d and said %q", code, errs)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	dir := t.TempDir()
	full, empty := filepath.Join(dir, "full"), filepath.Join(dir, "empty")
	os.WriteFile(full, []byte("the secret\n"), 0o600)
	os.WriteFile(empty, []byte("\n"), 0o600)
	for _, tt := range []struct {
		name, value, file, want string
		bad                     bool
	}{
		{"value", "v", "", "v", false}, {"file", "", full, "the secret", false}, {"neither", "", "", "", false},
		{"both", "v", full, "", true}, {"empty file", "", empty, "", true}, {"no file", "", filepath.Join(dir, "none"), "", true},
	} {
		var got string
		err := secrets([]secret{{&got, tt.value, tt.file, "POSTERN_X"}})
		if (err != nil) != tt.bad || !tt.bad && got != tt.want {
			t.Errorf("%s: secrets gives %q, %v; want %q, error %v", tt.name, got, err, tt.want, tt.bad)
		}
		if err != nil && strings.Contains(err.Error(), "the secret") {
			t.Errorf("%s: the error repeats the secret", tt.name)
		}
	}
}

// TestScriptedInit: a script sets an instance up from standard input alone, and
// finds the recovery phrase in a file nobody else reads.
func TestScriptedInit(t *testing.T) {
	needPostgres(t)
	s := newShop(t)
	file := filepath.Join(t.TempDir(), "recovery")
	answers := "Lantern\nsecurity@lantern.example\nAda\nada@lantern.example\n" + passphrase + "\n" + passphrase + "\n"
	out := s.good(answers, "init", "--recovery-file", file)
	phrase, err := os.ReadFile(file)
	if err != nil || len(strings.FieldsFunc(string(phrase), func(r rune) bool { return r == ' ' || r == '-' || r == '\n' })) < 8 {
		t.Fatalf("the recovery phrase in its file: %q, %v", phrase, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of the recovery phrase: %v, %v; want it for its owner alone", info, err)
	}
	if strings.Contains(out, strings.TrimSpace(string(phrase))) || !strings.Contains(out, file) {
		t.Errorf("init has to name the file and not the phrase:\n%s", out)
	}
	v := s.serve()
	if out := s.good(string(phrase), "unlock"); !strings.Contains(out, "unlocked") {
		t.Errorf("unlock with the recovery phrase said %q", out)
	}
	v.stop(t)

	other := newShop(t)
	if _, errs, code := other.run(answers, "init", "--recovery-file", file); code != 1 || !strings.Contains(errs, "nothing was stored") {
		t.Errorf("init over an older file of a recovery phrase ended with %d: %s", code, errs)
	}
}

// TestHelp: help is --help, and says where what listens.
func TestHelp(t *testing.T) {
	s := newShop(t)
	for _, args := range [][]string{{"help"}, {"help", "serve"}, {"serve", "--help"}, {"help", "demo"}} {
		out := s.good("", args...)
		want := []string{"127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:2525"}
		if len(args) == 1 {
			want = []string{"serve", "doctor"}
		}
		for _, word := range want {
			if !strings.Contains(out, word) {
				t.Errorf("postern %s does not say %s:\n%s", strings.Join(args, " "), word, out)
			}
		}
	}
}
