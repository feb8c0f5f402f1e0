// Package embedded runs a private PostgreSQL cluster for an installation that names no database.
//
// It exists so that a newcomer and a small site need nothing but the distribution's server package: the cluster is made, started, and
// stopped together with the program, listens on a unix socket alone, in a folder only its own user can enter, and dies with the program
// even when that is killed. It promises that what Start returns is the postmaster it started itself, on the folder it was given, and that
// a data folder is never opened by two programs nor by another major version. Larger sites name a database of their own instead.
package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Logins and database of a cluster. Each login is a role of its own without superuser rights; Owner migrates, Desk and Gate run.
const (
	OwnerLogin   = "postern_owner"
	DeskLogin    = "postern_desk"
	GateLogin    = "postern_gate"
	DatabaseName = "postern"

	adminLogin = "postern" // superuser made by initdb; used here alone, to make the three roles and the database
)

// ErrNotInstalled is returned, wrapped, when no PostgreSQL server programs are found.
var ErrNotInstalled = errors.New("PostgreSQL is not installed: install with: apt-get install postgresql (or name a running server in POSTERN_DATABASE_URL)")

// fallbackBase holds clusters of data folders that the unprivileged user cannot reach. A variable for the tests of this package.
var fallbackBase = "/var/lib/postern"

const (
	socketPort   = 5432
	longestPath  = 107 // sun_path holds 108 bytes with the final NUL, unix(7)
	minMajor     = 14
	startTimeout = 60 * time.Second // crash recovery of a small cluster takes seconds
	fastStop     = 15 * time.Second
	quickStop    = 5 * time.Second
)

// Config says where a cluster lives.
type Config struct {
	// Dir is the folder of the cluster, made when absent. A relative path counts from the working directory.
	Dir string
	// Log is told, a line at a time and without a line feed, what an operator should know. Nil drops it.
	Log func(string)
	// FsyncOff trades safety for speed. For tests only: a crash of the machine may destroy the cluster.
	FsyncOff bool
	// BinDir is the folder of the server programs initdb and postgres. Empty: the distribution's, the newest that fits the data.
	BinDir string
}

// Cluster is a running postmaster that this process started.
type Cluster struct {
	dir       string
	run       string
	runIsTemp bool
	lock      *os.File
	child     *child
	stop      sync.Once
	stopErr   error
}

// Start opens the cluster in c.Dir, making it when new, and returns once it answers queries and has the three logins and the database.
//
// When the program that held the folder before was killed, Start waits for its postmaster to end. Its errors say what to do. Run as root
// it starts the server as an unprivileged user ("postgres", else "nobody", else the owner of existing data). Canceling ctx abandons the
// start; a cluster that has started is ended by Stop alone.
func Start(ctx context.Context, c Config) (*Cluster, error) {
	if c.Log == nil {
		c.Log = func(string) {}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	if len(installed(c.BinDir)) == 0 { // before any folder is made
		return nil, ErrNotInstalled
	}
	place, err := settle(c)
	if err != nil {
		return nil, err
	}
	lock, err := acquire(ctx, filepath.Join(place.dir, "lock"))
	if err != nil {
		return nil, err
	}
	cluster := &Cluster{dir: place.dir, lock: lock}
	if err := cluster.start(ctx, c, place); err != nil {
		cluster.release()
		return nil, err
	}
	return cluster, nil
}

func (cl *Cluster) start(ctx context.Context, c Config, p place) error {
	data := filepath.Join(p.dir, "data")
	bin, err := findBin(c.BinDir, data)
	if err != nil {
		return err
	}
	if err := initialize(ctx, bin, data, p, c); err != nil {
		return err
	}
	cl.run, cl.runIsTemp, err = socketFolder(p)
	if err != nil {
		return err
	}
	cl.child, err = spawn(serverCommand(bin, data, cl.run, p, c), cl.lock, c.Log)
	if err != nil {
		return fmt.Errorf("start %s/postgres: %w", bin.dir, err)
	}
	if err := cl.awaitReady(ctx, data); err != nil {
		return errors.Join(err, cl.child.end())
	}
	if err := cl.prepare(ctx); err != nil {
		return errors.Join(fmt.Errorf("make logins and database: %w", err), cl.child.end())
	}
	return nil
}

// awaitReady waits until the postmaster that we started says it is ready. That somebody answers on the socket proves nothing: it may be
// another postmaster's. The pid file names its owner, and our child's end is watched.
func (cl *Cluster) awaitReady(ctx context.Context, data string) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if ready(filepath.Join(data, "postmaster.pid"), cl.child.pid) {
			return nil
		}
		select {
		case <-cl.child.done:
			return fmt.Errorf("PostgreSQL on %s ended at once: %s", data, cl.child.tail.text())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL on %s is not ready: %w: %s", data, context.Cause(ctx), cl.child.tail.text())
		case <-tick.C:
		}
	}
}

// ready reads the lines of a postmaster.pid: the first is the pid, the eighth the status (PostgreSQL's miscadmin.h, since version 10).
func ready(path string, pid int) bool {
	b, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) < 8 || strings.TrimSpace(lines[0]) != strconv.Itoa(pid) {
		return false
	}
	return strings.TrimSpace(lines[7]) == "ready"
}

// URL is a connection string for pgx over the cluster's unix socket. There is no password: the socket's folder is closed to all others.
func (cl *Cluster) URL(login, database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(login), Path: "/" + database}
	u.RawQuery = url.Values{"host": {cl.run}, "port": {strconv.Itoa(socketPort)}, "sslmode": {"disable"}}.Encode()
	return u.String()
}

// Owner is the connection string of the login that owns the database and migrates it.
func (cl *Cluster) Owner() string { return cl.URL(OwnerLogin, DatabaseName) }

// Desk is the connection string of desk and work.
func (cl *Cluster) Desk() string { return cl.URL(DeskLogin, DatabaseName) }

// Gate is the connection string of the gate.
func (cl *Cluster) Gate() string { return cl.URL(GateLogin, DatabaseName) }

// Admin is the connection string of the superuser in the given database, for tests and for backup programs of the same user.
func (cl *Cluster) Admin(database string) string { return cl.URL(adminLogin, database) }

// Pid is the postmaster's process id.
func (cl *Cluster) Pid() int { return cl.child.pid }

// Dir is the folder the cluster lives in: Config.Dir made absolute, or its substitute under /var/lib/postern.
func (cl *Cluster) Dir() string { return cl.dir }

// Done is closed when the postmaster has ended, by Stop or by accident.
func (cl *Cluster) Done() <-chan struct{} { return cl.child.done }

// Stop ends the cluster: open sessions are cut, what was committed is on disk. A second call returns the first one's result.
func (cl *Cluster) Stop() error {
	cl.stop.Do(func() {
		cl.stopErr = cl.child.end()
		cl.release()
	})
	return cl.stopErr
}

func (cl *Cluster) release() {
	if cl.runIsTemp {
		os.RemoveAll(cl.run)
	}
	cl.lock.Close()
}

// acquire takes the folder's lock. The postmaster inherits it, so that it is free only when the last server process has gone; when the
// program named in the file is no longer there, that is a matter of moments and is waited for.
func acquire(ctx context.Context, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the cluster: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if pid := holder(path); pid > 0 && alive(pid) {
			f.Close()
			return nil, fmt.Errorf("the cluster in %s is in use by the program with process id %d: stop that one first, or choose another POSTERN_DATA", filepath.Dir(path), pid)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("the cluster in %s is still in use by server processes of an earlier run: %w", filepath.Dir(path), context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("write %s: %w", path, err)
		}
	}
	return f, nil
}

func holder(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return pid
}

// alive reports whether a process runs. One that ended and that nobody waited for yet does not.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !errors.Is(err, os.ErrNotExist) || !isDir("/proc/self") // no /proc on this system: trust the signal
	}
	_, after, _ := strings.Cut(string(stat), ") ") // proc(5): pid (name) state
	return !strings.HasPrefix(after, "Z")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// initialize makes the data folder when it is not there. It is made beside and renamed, so that a broken attempt leaves nothing half done.
func initialize(ctx context.Context, bin binaries, data string, p place, c Config) error {
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return nil
	}
	fresh := data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove an unfinished cluster: %w", err)
	}
	args := []string{"-D", fresh, "-U", adminLogin, "-A", "trust", "--no-locale", "-E", "UTF8", "--data-checksums"}
	if c.FsyncOff {
		args = append(args, "-N")
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin.dir, "initdb"), args...)
	cmd.Dir = "/"
	cmd.Env = environment(bin)
	cmd.SysProcAttr = p.attributes()
	out, err := cmd.CombinedOutput()
	if err != nil {
		os.RemoveAll(fresh)
		return fmt.Errorf("initdb for a new cluster in %s: %w: %s", p.dir, err, lastLines(string(out), 5))
	}
	if err := os.Rename(fresh, data); err != nil {
		return fmt.Errorf("put the new cluster in place: %w", err)
	}
	return nil
}

func serverCommand(bin binaries, data, run string, p place, c Config) *exec.Cmd {
	settings := []string{
		"listen_addresses=", "unix_socket_permissions=0700", "port=" + strconv.Itoa(socketPort),
		"log_destination=stderr", "logging_collector=off",
		// Statements and rows may hold what must never be in a log.
		"log_min_messages=log", "log_checkpoints=off", "log_min_error_statement=panic", "log_error_verbosity=terse", "log_statement=none",
		"timezone=UTC", "log_timezone=UTC",
	}
	if c.FsyncOff {
		settings = append(settings, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=400",
			"shared_buffers=32MB", "autovacuum=off", "max_wal_size=256MB")
	}
	args := []string{"-D", data, "-k", run}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	cmd := exec.Command(filepath.Join(bin.dir, "postgres"), args...)
	cmd.Dir = "/"
	cmd.Env = environment(bin)
	cmd.SysProcAttr = p.attributes()
	return cmd
}

// environment leaves out every PG… variable of ours, which would reach the server's programs.
func environment(bin binaries) []string {
	return []string{"PATH=" + bin.dir + ":/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
}

func folderHash(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:8])
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "; ")
}
