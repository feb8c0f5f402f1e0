package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"postern/internal/gate"
	"postern/internal/letters"
	"postern/internal/pgp"
	"postern/internal/postgres"
	"postern/internal/postgres/embedded"
	"postern/internal/smtp"
	"postern/internal/vault"
	"postern/internal/work"
)

const (
	clients     = 8
	reportBytes = 30 << 10
)

// burst is one round at full speed.
type burst struct {
	cost
	done      int
	latencies []time.Duration
}

func (b burst) rate() float64 { return float64(b.done) / b.wall.Seconds() }

// intake posts encrypted reports to the API beside pgbench inserting rows of
// the same size, on the same cluster, each commit waited for.
func (b *bench) intake(ctx context.Context) error {
	span := 5 * time.Second
	if b.quick {
		span = time.Second
	}
	heading(fmt.Sprintf("Intake: encrypted reports of 30 KiB, POST /api/v1/reports, %d clients, %s a round", clients, span))
	w, err := b.world(ctx, vault.TestCost)
	if err != nil {
		return err
	}
	defer w.close()
	door, err := openDoor(ctx, w, b.pg.dir)
	if err != nil {
		return err
	}
	defer door.close()
	peer, err := newPGBench(ctx, b, w)
	if err != nil {
		return err
	}
	var ours, theirs []burst
	for range min(b.rounds, 4) {
		for _, turn := range []struct {
			to  *[]burst
			run func(context.Context, time.Duration) (burst, error)
		}{{&ours, func(ctx context.Context, d time.Duration) (burst, error) { return door.flood(ctx, b, d) }}, {&theirs, peer.flood}} {
			if err := b.pg.admin(ctx, "CHECKPOINT"); err != nil {
				return err
			}
			got, err := turn.run(ctx, span)
			if err != nil {
				return err
			}
			*turn.to = append(*turn.to, got)
		}
	}
	var stored int
	if err := w.db.Pool().QueryRow(ctx, `SELECT count(*) FROM arrival`).Scan(&stored); err != nil {
		return err
	}
	if sum := total(ours); stored != sum {
		return fmt.Errorf("%d reports were acknowledged and %d stored: %w", sum, stored, errWrong)
	}
	t := &table{}
	t.row("", "per second", "p50", "p99", "CPU each", "PostgreSQL's CPU each")
	for _, line := range []struct {
		name string
		list []burst
	}{{"postern, its load generator included", ours}, {"pgbench, one bytea row of 30 KiB", theirs}} {
		t.row(line.name, fmt.Sprintf("%.0f", rate(line.list)), ms(p(line.list, 50)), ms(p(line.list, 99)),
			ms(each(line.list, func(x burst) time.Duration { return x.cpu })), ms(each(line.list, func(x burst) time.Duration { return x.postgres })))
	}
	t.print()
	b.aim("reports a second / rows a second", rate(ours)/rate(theirs), 0.4, true, "")
	b.aim("p50 of a report / p50 of a row", ratio(p(ours, 50), p(theirs, 50)), 3, false, "")
	return nil
}

func total(list []burst) (n int) {
	for _, x := range list {
		n += x.done
	}
	return n
}

func rate(list []burst) float64 {
	var all []float64
	for _, x := range list {
		all = append(all, x.rate())
	}
	return median(all)
}

func p(list []burst, percent float64) time.Duration {
	var all []time.Duration
	for _, x := range list {
		all = append(all, percentile(x.latencies, percent))
	}
	return median(all)
}

func each(list []burst, f func(burst) time.Duration) time.Duration {
	var all []time.Duration
	for _, x := range list {
		all = append(all, f(x)/time.Duration(max(x.done, 1)))
	}
	return median(all)
}

// door is a gate behind a listener on loopback.
type door struct {
	url    string
	server *http.Server
	end    context.CancelFunc
	client *http.Client
	body   []byte
}

func openDoor(ctx context.Context, w *world, dir string) (*door, error) {
	if err := publishSite(ctx, w); err != nil {
		return nil, err
	}
	spool := filepath.Join(dir, "spool")
	if err := os.MkdirAll(spool, 0o700); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &door{url: "http://" + l.Addr().String()}
	g := gate.New(gate.Config{DB: w.gate, URL: d.url, Spool: spool, Version: "bench", Schema: postgres.KnownSchema(),
		Limits: gate.Limits{Reports: 1 << 30, Lookups: 1 << 30}})
	running, end := context.WithCancel(ctx)
	d.end = end
	if err := g.Start(running); err != nil {
		end()
		return nil, fmt.Errorf("start a gate: %w", err)
	}
	d.server = &http.Server{Handler: g}
	go func() { _ = d.server.Serve(l) }()
	d.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}, Timeout: 30 * time.Second}
	d.body, err = encryptedReport(w)
	return d, err
}

// publishSite renders what the gate serves, as work does.
func publishSite(ctx context.Context, w *world) error {
	l, err := letters.New(nil)
	if err != nil {
		return err
	}
	outbox, err := smtp.NewOutbox(filepath.Join(w.c.dir, "outbox"))
	if err != nil {
		return err
	}
	made := work.New(work.Config{DB: w.db, Sender: outbox, Letters: l, GateURL: "http://127.0.0.1", DeskURL: "http://127.0.0.1", Version: "bench"})
	_, err = made.Once(ctx)
	return err
}

// encryptedReport is an armored message of 30 KiB to the team.
func encryptedReport(w *world) ([]byte, error) {
	text := make([]byte, reportBytes*11/32) // hex doubles it, armor adds a third
	if _, err := rand.Read(text); err != nil {
		return nil, err
	}
	// Incompressible, so that the size is what it is meant to be.
	ready, err := pgp.PrepareUnsigned([]byte(hex.EncodeToString(text)))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := ready.Encrypt(&out, []*pgp.Certificate{w.team.Certificate()}, w.db.Now()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (d *door) close() {
	d.server.Close()
	d.end()
}

func (d *door) flood(ctx context.Context, b *bench, span time.Duration) (out burst, err error) {
	var group sync.WaitGroup
	var mu sync.Mutex
	watch := b.begin()
	end := time.Now().Add(span)
	err = b.profiled("intake", func() error {
		var failed error
		for range clients {
			group.Go(func() {
				var mine []time.Duration
				var err error
				for time.Now().Before(end) && err == nil {
					began := time.Now()
					err = d.post(ctx)
					mine = append(mine, time.Since(began))
				}
				mu.Lock()
				defer mu.Unlock()
				failed = firstError(failed, err)
				out.latencies = append(out.latencies, mine...)
			})
		}
		group.Wait()
		return failed
	})
	out.cost, out.done = watch.stop(), len(out.latencies)
	return out, err
}

func (d *door) post(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+"/api/v1/reports", bytes.NewReader(d.body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/pgp-encrypted")
	answer, err := d.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusCreated {
		err = fmt.Errorf("the gate answered %s: %s", answer.Status, text)
	}
	return err
}

// pgBench is PostgreSQL's own load generator.
type pgBench struct {
	b       *bench
	program string
	url     string
	dir     string
}

func newPGBench(ctx context.Context, b *bench, w *world) (*pgBench, error) {
	p := &pgBench{b: b, url: b.pg.URL(embedded.DeskLogin, w.name), dir: filepath.Join(b.pg.dir, "pgbench")}
	var err error
	if p.program, err = findPGBench(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, err
	}
	owner, err := connect(ctx, b.pg.URL(embedded.OwnerLogin, w.name))
	if err != nil {
		return nil, err
	}
	defer owner.Close(ctx)
	_, err = owner.Exec(ctx, `CREATE TABLE bench_row (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, bytes bytea NOT NULL);
		ALTER TABLE bench_row ALTER COLUMN bytes SET STORAGE EXTERNAL;
		GRANT INSERT ON bench_row TO `+embedded.DeskLogin)
	if err != nil {
		return nil, fmt.Errorf("make pgbench's table: %w", err)
	}
	row := make([]byte, reportBytes)
	if _, err := rand.Read(row); err != nil {
		return nil, err
	}
	// The simple protocol sends the row each time, as any client must; as a
	// literal of a prepared statement it would never travel.
	return p, os.WriteFile(filepath.Join(p.dir, "script"), []byte(`INSERT INTO bench_row (bytes) VALUES ('\x`+hex.EncodeToString(row)+"');\n"), 0o600)
}

// findPGBench looks beside the server's programs: the one in the path may be a
// wrapper that starts Perl.
func findPGBench() (string, error) {
	match, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if len(match) > 0 {
		return match[len(match)-1], nil
	}
	path, err := exec.LookPath("pgbench")
	if err != nil {
		return "", fmt.Errorf("pgbench is not installed, and the peer needs it: %w", err)
	}
	return path, nil
}

func (p *pgBench) flood(ctx context.Context, span time.Duration) (out burst, err error) {
	old, _ := filepath.Glob(filepath.Join(p.dir, "log.*"))
	for _, path := range old {
		os.Remove(path)
	}
	cmd := exec.CommandContext(ctx, p.program, "--no-vacuum", "--client", strconv.Itoa(clients), "--jobs", "2", "--protocol", "simple",
		"--time", strconv.Itoa(int(span.Seconds())), "--file", "script", "--log", "--log-prefix", "log", p.url)
	cmd.Dir = p.dir
	watch := p.b.begin()
	said, err := cmd.CombinedOutput()
	out.cost = watch.stop()
	if err != nil {
		return out, fmt.Errorf("pgbench: %w: %s", err, said)
	}
	logs, _ := filepath.Glob(filepath.Join(p.dir, "log.*"))
	for _, path := range logs {
		text, err := os.ReadFile(path)
		if err != nil {
			return out, err
		}
		for line := range strings.Lines(string(text)) { // client, transaction, microseconds, …
			f := strings.Fields(line)
			if len(f) < 3 {
				continue
			}
			n, err := strconv.Atoi(f[2])
			if err != nil {
				return out, fmt.Errorf("read pgbench's log: %w", err)
			}
			out.latencies = append(out.latencies, time.Duration(n)*time.Microsecond)
		}
	}
	out.done = len(out.latencies)
	if out.done == 0 {
		return out, fmt.Errorf("pgbench did nothing: %s", said)
	}
	return out, nil
}
