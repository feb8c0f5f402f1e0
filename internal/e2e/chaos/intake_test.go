package chaos

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"postern/internal/postgres"
	"postern/internal/postgres/embedded"
	"postern/internal/postgres/embedded/pgtest"
	"postern/internal/postgres/postgrestest"
)

// TestKilledWhileTakingIn kills the program a hundred times at random moments
// while four reporters send, and starts it again.
func TestKilledWhileTakingIn(t *testing.T) {
	pgtest.Cluster(t)
	w := settled(t, postgrestest.New(t))
	at := newPlace(t, w)
	rounds, budget := 100, 45*time.Second
	if soak {
		rounds, budget = 300, 15*time.Minute
	}
	r := newReporters(t)
	began, took, done := time.Now(), time.Duration(0), 0
	for ; done < rounds && time.Since(began) < budget; done++ {
		at.unlocked = done%2 == 0 // locked, everything stays sealed; unlocked, opening is killed too
		at.lmtp = done/2%2 == 1
		starting := time.Now()
		p := at.start(t)
		took += time.Since(starting)
		ctx, cancel := context.WithCancel(t.Context())
		killed := make(chan struct{})
		go func() {
			time.Sleep(time.Duration(20+rand.IntN(180)) * time.Millisecond)
			p.kill()
			cancel()
			close(killed)
		}()
		r.run(ctx, p, func() bool { return true })
		<-killed
	}
	t.Logf("%d kills in %s, of which %s starting", done, time.Since(began).Round(time.Second), took.Round(time.Second))
	if done < 30 {
		t.Errorf("only %d kills in %s", done, budget)
	}
	at.unlocked, at.lmtp = true, false
	p := at.start(t)
	r.finish(p)
	r.opened(w, p)
	p.alive(t)
}

// ownCluster is a cluster as in production, which a test may kill.
type ownCluster struct {
	t    *testing.T
	conf embedded.Config
	*embedded.Cluster
}

func newOwnCluster(t *testing.T) *ownCluster {
	t.Helper()
	pgtest.Cluster(t) // skips where there is none
	dir, err := os.MkdirTemp("/tmp", "pc")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return newClusterIn(t, dir)
}

func newClusterIn(t *testing.T, dir string) *ownCluster {
	t.Helper()
	must(t, os.Chmod(dir, 0o711)) // the server's user must pass
	c := &ownCluster{t: t, conf: embedded.Config{Dir: filepath.Join(dir, "pg")}}
	c.start()
	t.Cleanup(func() { c.Stop() })
	_, err := postgres.Migrate(t.Context(), c.Owner())
	must(t, err)
	return c
}

// start waits for what a crash has left: sessions of the dead server hold its
// lock until they notice.
func (c *ownCluster) start() {
	c.t.Helper()
	var last error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		cluster, err := embedded.Start(context.Background(), c.conf)
		if err == nil {
			c.Cluster = cluster
			return
		}
		last = err
	}
	c.t.Fatalf("start PostgreSQL: %v", last)
}

// crash kills the whole server with a signal, and starts it again.
func (c *ownCluster) crash(signal syscall.Signal) {
	c.t.Helper()
	must(c.t, syscall.Kill(c.Pid(), signal))
	<-c.Done()
	time.Sleep(300 * time.Millisecond) // long enough for reports to meet a closed door
	c.Stop()
	c.start()
}

// killBackend kills one session of the gate with SIGKILL, upon which the
// postmaster ends all others and recovers. False: there was none.
func (c *ownCluster) killBackend() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.Admin("postgres"))
	if err != nil {
		return false
	}
	defer conn.Close(ctx)
	var pid int
	err = conn.QueryRow(ctx, `SELECT pid FROM pg_stat_activity WHERE usename = $1 ORDER BY state = 'active' DESC, random() LIMIT 1`,
		embedded.GateLogin).Scan(&pid)
	return err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil
}

// TestPostgresKilled kills sessions and the whole server under a program that
// goes on running, while four reporters send.
func TestPostgresKilled(t *testing.T) {
	c := newOwnCluster(t)
	w := settled(t, postgrestest.NewAt(t, postgrestest.Config{}, func() (string, string, string) { return c.Owner(), c.Desk(), c.Gate() }))
	p := newPlace(t, w).start(t)
	r := newReporters(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.run(ctx, p, func() bool { return false })
	}()
	crashes := []func(){
		func() { c.killBackend() },
		func() { c.crash(syscall.SIGQUIT) },
		func() { c.killBackend() },
		func() { c.crash(syscall.SIGKILL) },
	}
	rounds := 1
	if soak {
		rounds = 15
	}
	for range rounds {
		for _, crash := range crashes {
			r.goesOn(t)
			crash()
		}
	}
	r.goesOn(t)
	cancel()
	<-ended
	p.alive(t)
	r.finish(p)
	r.opened(w, p)
	refused := 0
	for _, rep := range r.all {
		refused += rep.refused
	}
	if refused == 0 {
		t.Error("no report met a killed database: the test has tested nothing")
	}
}

// goesOn waits until reports are acknowledged, again and again: nobody had to
// help.
func (r *reporters) goesOn(t *testing.T) {
	t.Helper()
	acked := func() int {
		r.mu.Lock()
		defer r.mu.Unlock()
		n := 0
		for _, rep := range r.all {
			n += rep.acked
		}
		return n
	}
	before := acked()
	eventually(t, 30*time.Second, "reports are taken again", func() bool { return acked() >= before+10 })
}
