package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"postern/internal/vault"
)

// start runs the built program on a running cluster: from exec to the gate's
// first page, and what it holds in memory when nothing happens.
func (b *bench) start(ctx context.Context) error {
	heading("Start: from exec to the gate's first page, and memory idle; the cluster is running already")
	if _, err := os.Stat(b.binary); err != nil {
		return fmt.Errorf("%s is not built: run make build: %w", b.binary, err)
	}
	w, err := b.world(ctx, vault.DefaultCost)
	if err != nil {
		return err
	}
	defer w.close()
	if err := publishSite(ctx, w); err != nil {
		return err
	}
	idle := 10 * time.Second
	if b.quick {
		idle = 2 * time.Second
	}
	t := &table{}
	t.row("", "first page", "memory idle", "of it private", "at most since the start")
	var first time.Duration
	var held memory
	for _, kind := range []struct {
		name   string
		secret string
	}{{"locked", ""}, {"unlocked by a passphrase file", passphrase}} {
		var starts []time.Duration
		var m memory
		for i := range b.rounds + 1 {
			wait := time.Duration(0)
			if i == b.rounds {
				wait = idle
			}
			took, got, err := b.startOnce(ctx, w, kind.secret, wait)
			if err != nil {
				return err
			}
			if i > 0 { // the first reads the program from disk
				starts = append(starts, took)
			}
			m = got
		}
		t.row(kind.name, ms(median(starts)), mib(m.resident), mib(m.private), mib(m.peak))
		first, held = max(first, median(starts)), m
	}
	t.print()
	b.aim("start to first page", float64(first)/float64(time.Millisecond), 200, false, " ms")
	b.aim("memory idle, unlocked", float64(held.resident)/(1<<20), 40, false, " MiB")
	return nil
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

type memory struct{ resident, private, peak int64 }

func (b *bench) startOnce(ctx context.Context, w *world, secret string, idle time.Duration) (took time.Duration, m memory, err error) {
	dir, err := os.MkdirTemp(b.pg.dir, "data-")
	if err != nil {
		return 0, m, err
	}
	defer os.RemoveAll(dir)
	addr, err := freeAddress()
	if err != nil {
		return 0, m, err
	}
	binary, err := filepath.Abs(b.binary)
	if err != nil {
		return 0, m, err
	}
	cmd := exec.CommandContext(ctx, binary, "serve")
	cmd.Env = append(cleanEnv(), "POSTERN_DATA="+filepath.Join(dir, "var"), "POSTERN_DATABASE_URL="+w.deskURL, "POSTERN_GATE_DATABASE_URL="+w.gateURL,
		"POSTERN_GATE_ADDR="+addr, "POSTERN_DESK_ADDR=127.0.0.1:0", "POSTERN_MAIL_ADDR=127.0.0.1:0")
	if secret != "" {
		file := filepath.Join(dir, "passphrase")
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			return 0, m, err
		}
		cmd.Env = append(cmd.Env, "POSTERN_PASSPHRASE_FILE="+file)
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, m, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	took, err = firstPage(ctx, "http://"+addr+"/", began, ended)
	if err == nil && idle > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(idle):
		}
		m, err = memoryOf(cmd.Process.Pid)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
	}
	if err != nil {
		err = fmt.Errorf("%w; it said: %s", err, strings.TrimSpace(said.String()))
	}
	return took, m, err
}

// cleanEnv leaves our own settings out.
func cleanEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "POSTERN_") && !strings.HasPrefix(v, "PG") {
			env = append(env, v)
		}
	}
	return env
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// firstPage asks again and again until the policy's page comes whole.
func firstPage(ctx context.Context, url string, began time.Time, ended chan error) (time.Duration, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for time.Since(began) < 20*time.Second && ctx.Err() == nil {
		answer, err := client.Get(url)
		if err == nil {
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err == nil && answer.StatusCode == http.StatusOK && bytes.Contains(body, []byte("Lantern")) {
				return time.Since(began), nil
			}
		}
		select {
		case err := <-ended:
			ended <- err
			return 0, fmt.Errorf("the program ended: %w", err)
		case <-time.After(time.Millisecond):
		}
	}
	return 0, errors.Join(errors.New("no page came"), ctx.Err())
}

// memoryOf reads proc(5): status and smaps_rollup.
func memoryOf(pid int) (m memory, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, err
	}
	smaps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return m, err
	}
	read := func(b []byte, name string) int64 {
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, name+":"); ok {
				n, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
				return n << 10
			}
		}
		return 0
	}
	m.resident, m.peak = read(status, "VmRSS"), read(status, "VmHWM")
	m.private = read(smaps, "Private_Clean") + read(smaps, "Private_Dirty")
	return m, nil
}
