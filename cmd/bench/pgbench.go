package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"postern/internal/postgres/embedded"
)

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
