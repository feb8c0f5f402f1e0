package embedded

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// As an ordinary user: the folder of another's cluster is refused with advice, one's own works.
func TestOrdinaryUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	base := folder(t)
	dir := filepath.Join(base, "pg")
	start(t, Config{Dir: dir}).Stop()
	const uid = 65534
	own := filepath.Join(base, "own")
	if err := errors.Join(os.Mkdir(own, 0o700), os.Chown(own, uid, uid)); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(base, "test")
	if out, err := exec.Command("cp", os.Args[0], binary).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v %s", err, out)
	}
	for dir, want := range map[string]string{dir: "belongs to user id", filepath.Join(own, "pg"): "ready"} {
		cmd := exec.Command(binary)
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), "EMBEDDED_TEST_DIR="+dir)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if !strings.Contains(line, want) {
			t.Errorf("as user %d in %s: %q, want %q", uid, dir, line, want)
		}
	}
}

// TestMain also plays the program that is killed, in a process of its own: see TestKilledProgram.
func TestMain(m *testing.M) {
	if dir := os.Getenv("EMBEDDED_TEST_DIR"); dir != "" {
		cl, err := Start(context.Background(), Config{Dir: dir, FsyncOff: true})
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		fmt.Println("ready", cl.Pid())
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		<-stop
		cl.Stop()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// folder is passable for the server's user, whoever runs the tests.
func folder(t *testing.T) string {
	t.Helper()
	if len(installed("")) == 0 {
		t.Skip("postgres not installed")
	}
	dir, err := os.MkdirTemp("/tmp", "postern-embedded-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func start(t *testing.T, c Config) *Cluster {
	t.Helper()
	c.FsyncOff = true
	cl, err := Start(t.Context(), c)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() { cl.Stop() })
	return cl
}

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func denied(t *testing.T, url, sql string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err == nil {
		t.Errorf("%s as %s: allowed, want it denied", sql, conn.Config().User)
	}
}

func TestStartStopStart(t *testing.T) {
	dir := filepath.Join(folder(t), "new", "postgres")
	cl := start(t, Config{Dir: dir})
	if cl.Dir() != dir {
		t.Errorf("Dir = %s, want %s", cl.Dir(), dir)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v; want mode 0700", info, err)
	}
	query[string](t, cl.Owner(), `WITH x AS (SELECT 1) SELECT 'ok'`)
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, cl.Owner())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, `CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)`); err != nil {
		t.Fatal(err)
	}
	// Stop does not wait for open sessions.
	began := time.Now()
	if err := cl.Stop(); err != nil {
		t.Fatalf("Stop with an open session = %v", err)
	}
	if d := time.Since(began); d > fastStop {
		t.Errorf("Stop took %v", d)
	}
	<-cl.Done()
	if err := cl.Stop(); err != nil {
		t.Errorf("second Stop = %v", err)
	}
	if alive(cl.Pid()) {
		t.Errorf("the postmaster outlived Stop")
	}
	again := start(t, Config{Dir: dir})
	if n := query[int](t, again.Owner(), `SELECT n FROM kept`); n != 7 {
		t.Errorf("after a restart the row holds %d, want 7", n)
	}
	if query[string](t, again.Admin("postgres"), `SELECT setting FROM pg_settings WHERE name = 'listen_addresses'`) != "" {
		t.Errorf("the server listens on the network")
	}
	if got := query[string](t, again.Admin("postgres"), `SELECT current_setting('data_directory')`); got != filepath.Join(dir, "data") {
		t.Errorf("connected to the data in %s, want %s/data", got, dir)
	}
	if got := query[string](t, again.Admin("postgres"), `SELECT current_setting('data_checksums')`); got != "on" {
		t.Errorf("data checksums are %s", got)
	}
}

func TestLogins(t *testing.T) {
	cl := start(t, Config{Dir: filepath.Join(folder(t), "pg")})
	for _, login := range []string{OwnerLogin, DeskLogin, GateLogin} {
		url := cl.URL(login, DatabaseName)
		if got := query[string](t, url, `SELECT current_user::text`); got != login {
			t.Errorf("connected as %s, want %s", got, login)
		}
		if query[bool](t, url, `SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls OR rolreplication FROM pg_roles WHERE rolname = current_user`) {
			t.Errorf("%s may more than log in", login)
		}
		denied(t, cl.URL(login, "postgres"), `SELECT 1`)
		denied(t, cl.URL(login, "template1"), `SELECT 1`)
	}
	for _, url := range []string{cl.Desk(), cl.Gate()} {
		denied(t, url, `CREATE TABLE x (n int)`)
		denied(t, url, `CREATE TEMP TABLE x (n int)`)
		denied(t, url, `CREATE SCHEMA x`)
		denied(t, url, `SET ROLE postern_owner`)
	}
	if got := query[string](t, cl.Admin("postgres"), `SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = 'postern'`); got != OwnerLogin {
		t.Errorf("the database belongs to %s, want %s", got, OwnerLogin)
	}
}

func TestSecondProgramIsRefused(t *testing.T) {
	dir := filepath.Join(folder(t), "pg")
	start(t, Config{Dir: dir})
	_, err := Start(t.Context(), Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "in use by the program with process id "+strconv.Itoa(os.Getpid())) {
		t.Errorf("second Start = %v, want it to name our process", err)
	}
}

// A program killed takes its server along; the next one waits for that and recovers.
func TestKilledProgram(t *testing.T) {
	dir := filepath.Join(folder(t), "pg")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EMBEDDED_TEST_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var word string
	var pid int
	if _, err := fmt.Fscan(out, &word, &pid); err != nil || word != "ready" {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatalf("the other program said %q, %v", word, err)
	}
	cmd.Process.Kill()
	cmd.Wait()

	cl := start(t, Config{Dir: dir})
	if cl.Pid() == pid {
		t.Errorf("the old postmaster %d was taken for ours", pid)
	}
	if alive(pid) {
		t.Errorf("the old postmaster %d still runs", pid)
	}
	query[int](t, cl.Owner(), `SELECT 1`)
}

// A server that dies is noticed.
func TestServerDies(t *testing.T) {
	cl := start(t, Config{Dir: filepath.Join(folder(t), "pg")})
	syscall.Kill(cl.Pid(), syscall.SIGQUIT)
	select {
	case <-cl.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("Done was not closed")
	}
	if err := cl.Stop(); err != nil {
		t.Errorf("Stop after the server died = %v", err)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(folder(t), strings.Repeat("long", 30), "pg")
	cl := start(t, Config{Dir: dir})
	query[int](t, cl.Owner(), `SELECT 1`)
	run := cl.run
	cl.Stop()
	if _, err := os.Stat(run); !os.IsNotExist(err) || run == filepath.Join(dir, "run") {
		t.Errorf("socket folder %s: %v; want a short one, gone after Stop", run, err)
	}
}

func TestUnreachableFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	base := folder(t)
	if err := os.Chmod(base, 0o700); err != nil {
		t.Fatal(err)
	}
	other := folder(t)
	fallbackBase = filepath.Join(other, "var")
	defer func() { fallbackBase = "/var/lib/postern" }()

	var mu sync.Mutex
	var lines []string
	note := func(s string) { mu.Lock(); lines = append(lines, s); mu.Unlock() }
	cl := start(t, Config{Dir: filepath.Join(base, "pg"), Log: note})
	if !strings.HasPrefix(cl.Dir(), fallbackBase) {
		t.Errorf("Dir = %s, want it under %s", cl.Dir(), fallbackBase)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], base) || !strings.Contains(lines[0], cl.Dir()) {
		t.Errorf("log = %q, want one line naming both folders", lines)
	}
	first := cl.Dir()
	cl.Stop()
	if again := start(t, Config{Dir: filepath.Join(base, "pg")}); again.Dir() != first {
		t.Errorf("second start went to %s, want %s", again.Dir(), first)
	}
	if _, err := os.Stat(filepath.Join(base, "pg")); !os.IsNotExist(err) {
		t.Errorf("an empty folder was left behind: %v", err)
	}
}

func TestVersionMismatch(t *testing.T) {
	dir := filepath.Join(folder(t), "pg")
	start(t, Config{Dir: dir}).Stop()
	if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "pg_upgrade") || !strings.Contains(err.Error(), "PostgreSQL 9") {
		t.Errorf("Start on data of version 9 = %v, want the way on", err)
	}
}

func TestUnfinishedCluster(t *testing.T) {
	dir := filepath.Join(folder(t), "pg")
	if err := os.MkdirAll(filepath.Join(dir, "data.new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	cl := start(t, Config{Dir: dir})
	query[int](t, cl.Owner(), `SELECT 1`)
}

func TestBrokenSettingIsReported(t *testing.T) {
	dir := filepath.Join(folder(t), "pg")
	start(t, Config{Dir: dir}).Stop()
	f, err := os.OpenFile(filepath.Join(dir, "data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString("no_such_setting = on\n")
	f.Close()
	began := time.Now()
	_, err = Start(t.Context(), Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("Start with a broken setting = %v, want the server's own words", err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("the failure was noticed after %v", d)
	}
}

func TestNotInstalled(t *testing.T) {
	_, err := Start(t.Context(), Config{Dir: filepath.Join(t.TempDir(), "pg"), BinDir: t.TempDir()})
	if !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), "apt-get install postgresql") {
		t.Errorf("Start without server programs = %v, want ErrNotInstalled with the command", err)
	}
}

func TestCanceledStart(t *testing.T) {
	dir := filepath.Join(folder(t), "pg")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if cl, err := Start(ctx, Config{Dir: dir}); err == nil {
		cl.Stop()
		t.Fatal("Start with a canceled context succeeded")
	}
	cl := start(t, Config{Dir: dir})
	query[int](t, cl.Owner(), `SELECT 1`)
}
