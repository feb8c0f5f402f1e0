// Package pgtest gives tests a real PostgreSQL: one private cluster for each test binary, a migrated template, and a clone of it for each
// test. It exists apart from embedded so that the product never imports testing.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/postgres/embedded"
)

// prefix of the temporary folders; the process id follows, so that a later run can clear away after one that was killed.
const prefix = "postern-pgtest-"

var shared struct {
	once    sync.Once
	cluster *embedded.Cluster
	base    string
	err     error

	mu        sync.Mutex
	templates map[string]*template
}

type template struct {
	once     sync.Once
	database string
	err      error
}

var clones atomic.Int64

// Main runs the tests, stops the cluster if one was started, and returns the exit code:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
//
// Without it the cluster dies with the process all the same, and its folder is cleared by a later run.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.cluster != nil {
		shared.cluster.Stop()
	}
	if shared.base != "" {
		os.RemoveAll(shared.base)
	}
	return code
}

// Cluster is the test binary's cluster, started at the first call. Without server programs the test is skipped.
func Cluster(t testing.TB) *embedded.Cluster {
	t.Helper()
	shared.once.Do(start)
	if errors.Is(shared.err, embedded.ErrNotInstalled) {
		t.Skip("postgres not installed")
	}
	if shared.err != nil {
		t.Fatalf("start a cluster for tests: %v", shared.err)
	}
	return shared.cluster
}

func start() {
	sweep()
	shared.base, shared.err = os.MkdirTemp("/tmp", prefix+strconv.Itoa(os.Getpid())+"-")
	if shared.err != nil {
		return
	}
	if shared.err = os.Chmod(shared.base, 0o711); shared.err != nil { // the server's user must pass
		return
	}
	shared.cluster, shared.err = embedded.Start(context.Background(), embedded.Config{Dir: filepath.Join(shared.base, "pg"), FsyncOff: true})
	if shared.err != nil {
		os.RemoveAll(shared.base)
	}
}

// sweep removes the folders of test binaries that ended without Main.
func sweep() {
	dirs, _ := filepath.Glob("/tmp/" + prefix + "*")
	for _, dir := range dirs {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "-")
		pid, err := strconv.Atoi(number)
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > 10*time.Second {
			os.RemoveAll(dir)
		}
	}
}

// Clone gives the test a database of its own, owned by postern_owner and closed to all but the three logins. The first call for a
// template name makes the template by letting prepare migrate an empty database; every call copies it, in some 20 to 60 ms. The database
// is dropped when the test ends, with whatever connections are left.
func Clone(t testing.TB, name string, prepare func(ownerURL string) error) (ownerURL, deskURL, gateURL string) {
	t.Helper()
	cluster := Cluster(t)
	source := templateNamed(name)
	source.once.Do(func() { source.err = source.make(cluster, prepare) })
	if source.err != nil {
		t.Fatalf("make template %q: %v", name, source.err)
	}
	ctx := context.Background()
	database := fmt.Sprintf("clone_%d", clones.Add(1))
	if err := exec(ctx, cluster, "CREATE DATABASE "+database+" TEMPLATE "+source.database+" OWNER "+embedded.OwnerLogin); err != nil {
		t.Fatalf("clone template %q: %v", name, err)
	}
	t.Cleanup(func() {
		if err := exec(ctx, cluster, "DROP DATABASE IF EXISTS "+database+" WITH (FORCE)"); err != nil {
			t.Errorf("drop %s: %v", database, err)
		}
	})
	if err := exec(ctx, cluster, "REVOKE ALL ON DATABASE "+database+" FROM PUBLIC",
		"GRANT CONNECT ON DATABASE "+database+" TO "+embedded.DeskLogin+", "+embedded.GateLogin); err != nil {
		t.Fatalf("close %s: %v", database, err)
	}
	return cluster.URL(embedded.OwnerLogin, database), cluster.URL(embedded.DeskLogin, database), cluster.URL(embedded.GateLogin, database)
}

func templateNamed(name string) *template {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.templates == nil {
		shared.templates = map[string]*template{}
	}
	t, ok := shared.templates[name]
	if !ok {
		t = &template{database: fmt.Sprintf("template_%d", len(shared.templates)+1)}
		shared.templates[name] = t
	}
	return t
}

func (t *template) make(cluster *embedded.Cluster, prepare func(string) error) error {
	ctx := context.Background()
	if err := exec(ctx, cluster, "CREATE DATABASE "+t.database+" OWNER "+embedded.OwnerLogin); err != nil {
		return err
	}
	if err := cluster.Close(ctx, t.database); err != nil {
		return err
	}
	if prepare != nil {
		if err := prepare(cluster.URL(embedded.OwnerLogin, t.database)); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	// A template must have no visitors while it is copied.
	return exec(ctx, cluster, "ALTER DATABASE "+t.database+" ALLOW_CONNECTIONS false",
		"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+t.database+"'")
}

func exec(ctx context.Context, cluster *embedded.Cluster, statements ...string) error {
	conn, err := pgx.Connect(ctx, cluster.Admin("postgres"))
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(ctx)
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}
